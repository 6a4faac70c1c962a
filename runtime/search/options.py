"""What a search is asked for, what it tells on its way, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal as OneOf
from typing import TypeAlias

from compiler.caps import Cap
from compiler.ir.expression import Literal
from compiler.path_costs import Picks
from dsl.settings import (
    Adaptive,
    FromScratch,
    Gradient,
    LatencyTerm,
    Optimizer,
    Progressive,
    Reinforce,
    Sgd,
    Strategy,
)
from runtime.data.batches import Augmentation
from runtime.evaluate.accuracy import Score
from runtime.optimiser import Schedule

Phase: TypeAlias = OneOf["warm-up", "search", "finals", "evaluation"]


class SearchProblem(Exception):
    """A search that cannot be done as asked: what is wrong, and the way out."""

    def __init__(self, what: str, way_out: str) -> None:
        super().__init__(f"{what}; {way_out}")
        self.what, self.way_out = what, way_out


class InfeasibleCap(SearchProblem):
    """A cap that no network of the space holds, together with the others; `reachable` is the nearest to it."""

    def __init__(self, cap: Cap, reachable: float | None, others: bool) -> None:
        known = "" if reachable is None else f": what can be reached is {reachable:.6g} {cap.unit}".rstrip()
        among = " among those that hold the other caps" if others else ""
        super().__init__(f"no network of the space has {cap}{among}{known}", "loosen it, or widen the space")
        self.cap, self.reachable, self.others = cap, reachable, others


@dataclass(frozen=True)
class SearchOptions:
    """A search. Epochs are passes over the training split; `warmup` epochs of random paths come before `epochs`.

    With `finals` the best of some finalists is the result. With `superkernels` candidates of a decision share weights,
    as far as they differ in sizes alone. With `budget_s` epochs and warm-up are shortened alike until the search fits
    into it; finals where they would take more than half of it. `front` is how many networks along the front of score
    and cost are wanted besides the result.
    """

    strategy: Strategy = field(default_factory=Gradient)
    penalty: LatencyTerm = field(default_factory=Adaptive)
    prune: Progressive | None = None
    finals: FromScratch | None = None
    superkernels: bool = False
    front: int = 0
    epochs: float = 120
    warmup: float = 40
    batch: int = 256
    optimiser: Optimizer = field(default_factory=lambda: Sgd(lr=0.025))
    schedule: Schedule = field(default_factory=lambda: Schedule(ramp=0.02))
    label_smoothing: float = 0.1
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    budget_s: float | None = None
    recalibration_batches: int = 20
    save_every_s: float = 15.0


def check_options(options: SearchOptions, supernet: bool) -> None:
    """Whether the strategy can do what it is asked for, with a supernet as judge or without.

    Raises:
        SearchProblem: it cannot.
    """
    gated = supernet and isinstance(options.strategy, Gradient | Reinforce)
    if isinstance(options.strategy, Gradient) and not supernet:
        what = "the strategy `gradient` needs a supernet: there is no gradient of a score"
        raise SearchProblem(what, "use `reinforce`, `evolution` or `random` with this evaluator")
    if options.superkernels and not supernet:
        raise SearchProblem("superkernels are a supernet's", "leave out `superkernels`, or `evaluator`")
    if options.prune is not None and not gated:
        raise SearchProblem("pruning needs binary gates", "use `gradient` or `reinforce` with a supernet")
    if options.prune is not None and options.front:
        raise SearchProblem("pruning leaves one network, and no front", "leave out `prune` or `front`")
    if options.finals is not None and not gated:
        raise SearchProblem("finals need binary gates", "use `gradient` or `reinforce` with a supernet")
    if options.finals is not None and options.prune is not None:
        raise SearchProblem("pruning leaves one network, and no finals", "leave out `prune` or `finals`")
    if options.finals is not None and options.front:
        raise SearchProblem("finals leave one network, and no front", "leave out `finals` or `front`")


@dataclass(frozen=True)
class SearchProgress:
    """After a step. Loss and accuracy are means over the epoch so far; in an evaluation the accuracy is the best
    score yet. Entropy is 1 uniform, 0 decided. `costs` are expected values, by metric."""

    step: int
    steps: int
    phase: Phase
    loss: float
    accuracy: float
    costs: Mapping[str, float]
    entropy: float


@dataclass(frozen=True)
class Found:
    """A network that was found: its picks, score and costs by metric, and whether it holds all caps."""

    picks: Picks
    score: float
    costs: Mapping[str, float]
    feasible: bool


@dataclass(frozen=True)
class SearchResult:
    """The network found. Costs are by metric, in its own unit, as the tables have them.

    `choices` are the architecture's, by decision path. `probabilities` are by decision and label. `expected` is
    the mean over the distribution that the search ended with, `argmax` the costs of each decision's most probable
    candidate, `best` the network returned. `validation` is its score on the validation split, with the weights that it
    has in the supernet, after finals its own (`parameters`, a start for its training); both None where another
    evaluator judged.
    """

    choices: Mapping[str, Literal]
    best: Found
    caps: tuple[Cap, ...]
    probabilities: Mapping[str, Mapping[str, float]]
    expected: Mapping[str, float]
    argmax: Mapping[str, float]
    front: tuple[Found, ...]
    validation: Score | None
    steps: int
    parameters: Path | None
    log: Path

    @property
    def picks(self) -> Picks:
        """The candidate of each decision."""
        return self.best.picks
