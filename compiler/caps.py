"""Caps on the metrics of networks: whether one holds them, and the best of a space that does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal as OneOf
from typing import Protocol

import numpy as np

from compiler.limits import UNITS, holds, limit_text
from compiler.path_costs import PathCosts, Picks
from compiler.peak_memory import PeakMemory

CUTS = 2_000
"""Networks that may be refused, one after another."""
SCALE = 1e3
"""Scores and costs, in units of the cap, are multiplied by this: the solver works to 1e-6 and 1e-7."""
TIGHTEN_AFTER = 10
"""Networks that the solver takes for fitting, and exact sums do not, until it is asked for a little less."""
TIGHTER = 1e-9
"""How much less: relative to the cap. Networks so near to it may be passed over then."""


class Unsolved(Exception):
    """Whether some network holds the caps, or which is the best, was not found out; says why."""


class Metric(Protocol):
    """A number of each network."""

    def total(self, picks: Sequence[int]) -> float:
        """Of one network, in the metric's own unit."""


@dataclass(frozen=True)
class Cap:
    """`metric <= limit` or `>=`; the name, as in messages and logs, is the metric's: `macs`, `latency on host`."""

    name: str
    metric: Metric
    limit: float
    relation: OneOf["<=", ">="] = "<="

    def excess(self, value: float) -> float:
        """By how much a value breaks the cap, relative to its limit; 0 or less where it holds it."""
        over = value - self.limit if self.relation == "<=" else self.limit - value
        return over / (abs(self.limit) or 1.0)

    @property
    def unit(self) -> str:
        """The metric's unit, "" for counts."""
        return UNITS.get(self.name.partition(" on ")[0], "")

    def holds(self, picks: Sequence[int]) -> bool:
        """Whether a network holds it: exactly, as its total is added up."""
        return holds(self.metric.total(picks), self.relation, self.limit)

    def __str__(self) -> str:
        metric, _, place = self.name.partition(" on ")
        return limit_text(metric, self.relation, self.limit, place)


@dataclass(frozen=True)
class Caps:
    """All caps of a search, and the number of candidates of each decision of its space."""

    candidates: tuple[int, ...]
    caps: tuple[Cap, ...] = ()

    def excess(self, picks: Sequence[int]) -> float:
        """By how much a network breaks its caps, relative to their limits, added up; 0 where it holds them all."""
        return sum(max(0.0, cap.excess(cap.metric.total(picks))) for cap in self.caps)

    def broken(self, picks: Sequence[int]) -> tuple[Cap, ...]:
        """The caps that a network breaks."""
        return tuple(cap for cap in self.caps if not cap.holds(picks))

    def without(self, cap: Cap) -> Caps:
        """The others, which may be on the same metric."""
        return replace(self, caps=tuple(each for each in self.caps if each != cap))

    def best(
        self, scores: Sequence[Sequence[float]], alive: Sequence[Sequence[int]] | None = None
    ) -> Picks | None:
        """The network of the greatest sum of scores that holds all caps; None where there is none.

        `alive` lists the candidates of each decision that may be had. Without caps, each decision's best. With
        them, a multiple-choice knapsack (Kellerer, Pferschy, Pisinger, Knapsack Problems, 2004, chapter 11) as an
        integer programme, solved by branch and cut (HiGHS). A network found is checked exactly; where a cap that
        is no sum refuses it, what it must not have together becomes one more constraint.

        Raises:
            Unsolved: the solver gave up, or more than `CUTS` networks were refused.
        """
        alive = [range(size) for size in self.candidates] if alive is None else alive
        free = tuple(max(row, key=part.__getitem__) for row, part in zip(alive, scores, strict=True))
        if not self.broken(free):
            return free
        if any(not cap.holds(nearest) for cap, nearest in self._nearest(alive)):
            return None
        programme = _Programme(self, scores, alive)
        for number in range(CUTS):
            picks = programme.solve()
            if picks is None or not (refused := self.broken(picks)):
                return picks
            programme.forbid(_conflict(refused, picks))
            if number % TIGHTEN_AFTER == TIGHTEN_AFTER - 1:
                programme.tighten(refused)
        raise Unsolved(f"{CUTS:,} networks broke a cap one after another; loosen the caps, or leave one out")

    def feasible(self, alive: Sequence[Sequence[int]] | None = None) -> bool:
        """Whether some network holds all caps."""
        alive = [range(size) for size in self.candidates] if alive is None else alive
        for cap, nearest in self._nearest(alive):
            if not cap.holds(nearest):
                return False
            if not self.broken(nearest):
                return True
        return self.best([[0.0] * size for size in self.candidates], alive) is not None

    def _nearest(self, alive: Sequence[Sequence[int]]) -> Iterator[tuple[Cap, Picks]]:
        """For each cap on a sum, the network that is farthest on its right side."""
        for cap in self.caps:
            if isinstance(cap.metric, PathCosts):
                best = min if cap.relation == "<=" else max
                pairs = zip(alive, cap.metric.rows, strict=True)
                yield cap, tuple(best(row, key=part.__getitem__) for row, part in pairs)

    def reachable(self, cap: Cap, alive: Sequence[Sequence[int]] | None = None) -> float | None:
        """The least (for `>=` the greatest) value of a cap's metric among networks that hold the other caps, which
        may be on the same metric; where that is no sum, the least among all networks. None where it is not known."""
        metric = cap.metric
        if not isinstance(metric, PathCosts):
            least = getattr(metric, "least", None)
            return None if least is None or cap.relation == ">=" else metric.total(least)
        sign = -1.0 if cap.relation == "<=" else 1.0
        picks = self.without(cap).best([[sign * cost for cost in row] for row in metric.rows], alive)
        return None if picks is None else metric.total(picks)


def _conflict(refused: Sequence[Cap], picks: Picks) -> tuple[tuple[int, int], ...]:
    for cap in refused:
        if isinstance(cap.metric, PeakMemory) and cap.relation == "<=":
            return cap.metric.conflict(picks, cap.limit)
    return tuple(enumerate(picks))


class _Programme:
    """Maximise the scores' sum over 0-1 variables, one a candidate, that add up to 1 in each decision."""

    def __init__(self, caps: Caps, scores: Sequence[Sequence[float]], alive: Sequence[Sequence[int]]) -> None:
        self.offsets = np.concatenate([[0], np.cumsum(caps.candidates)]).astype(int)
        self.objective = -SCALE * np.array([score for row in scores for score in row])
        self.upper = np.zeros(self.offsets[-1])
        for at, row in enumerate(alive):
            self.upper[[self.offsets[at] + pick for pick in row]] = 1
        dead = ~np.isfinite(self.objective)
        self.upper[dead], self.objective[dead] = 0, 0
        self.one_each = np.zeros((len(caps.candidates), self.offsets[-1]))
        for at, (start, end) in enumerate(zip(self.offsets, self.offsets[1:], strict=False)):
            self.one_each[at, start:end] = 1
        self.rows: list[np.ndarray] = []
        self.limits: list[float] = []
        self.row_of: dict[Cap, int] = {}
        for cap in caps.caps:
            if isinstance(cap.metric, PathCosts):
                self.row_of[cap] = len(self.rows)
                self._add(cap, cap.metric)

    def _add(self, cap: Cap, costs: PathCosts) -> None:
        row = np.array([cost for part in costs.rows for cost in part])
        left = cap.limit - costs.fixed
        row, left = (row, left) if cap.relation == "<=" else (-row, -left)
        size = max(abs(cap.limit), float(np.abs(row).max(initial=0.0))) or 1.0
        self.rows.append(SCALE * row / size)
        self.limits.append(SCALE * left / size)

    def tighten(self, refused: Sequence[Cap]) -> None:
        """Ask for a little less of the caps that exact sums break."""
        for cap in refused:
            if cap in self.row_of:
                self.limits[self.row_of[cap]] -= SCALE * TIGHTER

    def forbid(self, together: Sequence[tuple[int, int]]) -> None:
        """These candidates, by decision and index, must not all be chosen."""
        row = np.zeros(self.offsets[-1])
        row[[self.offsets[at] + pick for at, pick in together]] = 1
        self.rows.append(row)
        self.limits.append(len(together) - 1.0)

    def solve(self) -> Picks | None:
        """The best picks, None where nothing fits."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        constraints = [LinearConstraint(self.one_each, 1, 1)]
        if self.rows:
            constraints.append(LinearConstraint(np.stack(self.rows), -np.inf, self.limits))
        found = milp(
            self.objective,
            integrality=np.ones(self.offsets[-1]),
            bounds=Bounds(0, self.upper),
            constraints=constraints,
            options={"mip_rel_gap": 0.0},
        )
        if found.status == 2:
            return None
        if found.x is None:
            raise Unsolved(f"the integer programme was given up: {found.message}")
        parts = np.split(found.x, self.offsets[1:-1])
        return tuple(int(part.argmax()) for part in parts)
