"""What a search is asked for, what it tells on its way, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal as OneOf

from compiler.ir.expression import Literal
from runtime.data.batches import Augmentation
from runtime.evaluate.accuracy import Score
from runtime.optimiser import Schedule, Sgd


class SearchProblem(Exception):
    """A search that cannot be done as asked: what is wrong, and the way out."""

    def __init__(self, what: str, way_out: str) -> None:
        super().__init__(f"{what}; {way_out}")
        self.what, self.way_out = what, way_out


class InfeasibleCap(SearchProblem):
    """A cap under which the space has no network; `minimum_ms` is the least that it can reach."""

    def __init__(self, cap_ms: float, minimum_ms: float) -> None:
        what = f"no network of the space takes {cap_ms:g} ms or less: the fastest takes {minimum_ms:.4g} ms"
        super().__init__(what, "raise the cap, or add faster candidates to the space")
        self.cap_ms, self.minimum_ms = cap_ms, minimum_ms


@dataclass(frozen=True)
class SearchOptions:
    """A search. Epochs are passes over the training split; `warmup` epochs of random paths come before `epochs`.

    With `budget_s` both are shortened alike until the search fits into it. Architecture steps come after
    every `every` weight steps, none in the first `delay` epochs after the warm-up. `alpha_lr` None is chosen
    from the number of architecture steps: the published 1e-3 is for some 10^5 of them.
    """

    strategy: str = "gradient"
    update: str = "recompute"
    epochs: float = 120
    warmup: float = 40
    delay: float = 1
    every: int = 5
    batch: int = 256
    alpha_lr: float | None = None
    optimiser: Sgd = field(default_factory=lambda: Sgd(lr=0.025))
    schedule: Schedule = field(default_factory=lambda: Schedule(ramp=0.02))
    label_smoothing: float = 0.1
    augmentation: Augmentation = field(default_factory=Augmentation)
    cap_ms: float | None = None
    seed: int = 0
    budget_s: float | None = None
    samples: int = 100
    recalibration_batches: int = 20
    save_every_s: float = 15.0


@dataclass(frozen=True)
class SearchProgress:
    """After a step. Loss and accuracy are means over the epoch so far; entropy is 1 uniform, 0 decided."""

    step: int
    steps: int
    phase: OneOf["warm-up", "search", "evaluation"]
    loss: float
    accuracy: float
    expected_ms: float
    entropy: float


@dataclass(frozen=True)
class SearchResult:
    """The architecture found. Latencies are the table's, in milliseconds; accuracy is on the validation split.

    `choices` are the architecture's, by decision path. `probabilities` are by mixed node and label.
    `expected_ms` is the mean over the distribution the search ended with, `argmax_ms` that of each
    decision's most probable candidate, `latency_ms` that of the network returned, which is the most
    probable one under the cap. `parameters` are its weights in the supernet, a start for its training.
    """

    choices: Mapping[str, Literal]
    picks: tuple[int, ...]
    probabilities: Mapping[str, Mapping[str, float]]
    latency_ms: float
    expected_ms: float
    argmax_ms: float
    minimum_ms: float
    cap_ms: float | None
    feasible: bool
    validation: Score
    steps: int
    parameters: Path
    log: Path
