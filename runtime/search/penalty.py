"""How costs enter the architecture's loss: a price for each cap that adapts, or ProxylessNAS's two fixed forms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dsl.settings import Adaptive, LatencyTerm, Linear, Log
from runtime.search.options import SearchProblem
from runtime.search.problem import Problem

DAMPING = 10.0
"""The price that an excess of 100% adds at once, beside what dual ascent has gathered."""
ASCENT = 100.0
"""Over N architecture steps the rate is 100/N: a lasting excess of 10% brings the price to 5 in N/2 steps."""
CLOSING = 0.5
"""The share of the steps over which the cap in force moves from where the search begins to the cap itself."""
MS = 1e3
"""Milliseconds in a second, in which settings are."""


@dataclass
class Penalty:
    """The augmented Lagrangian of one cap (Nocedal and Wright, Numerical Optimization, section 17.4).

    `price` multiplies the relative excess of the expected value over the cap in the architecture's loss.
    It rises while the excess is above 0 and falls while it is below, never under 0; so there is no weight to guess,
    and a cap that costs nothing does nothing. The cap in force begins at the first excess and reaches the cap after
    half of the steps: a cap far below the space's mean would else settle the decisions by latency alone,
    before the paths have learnt anything.
    """

    steps: int
    done: int = 0
    start: float = 0.0
    price: float = 0.0

    def weight(self, excess: float) -> float:
        """The factor of the relative excess's gradient in the loss now."""
        return max(0.0, self.price + DAMPING * self._in_force(excess))

    def update(self, excess: float) -> None:
        """One step of dual ascent."""
        self.price = max(0.0, self.price + ASCENT / max(1, self.steps) * self._in_force(excess))
        self.start = self.start if self.done else excess
        self.done += 1

    def _in_force(self, excess: float) -> float:
        start = self.start if self.done else excess
        gone = min(1.0, self.done / max(1.0, CLOSING * self.steps))
        return excess - max(0.0, start * (1 - gone))


@dataclass
class CostTerm:
    """What costs add to the architecture's loss, over `steps` architecture steps.

    Caps on metrics that are no sums (`peak_memory`) have no gradient: candidates that break them are taken out
    before, and the network returned is checked.
    """

    problem: Problem
    kind: LatencyTerm
    steps: int
    penalties: list[Penalty] = field(init=False)

    def __post_init__(self) -> None:
        self.caps = self.problem.caps_on_sums.caps
        self.penalties = [Penalty(self.steps) for _ in self.caps]

    @property
    def latency(self) -> str:
        """The metric of the fixed forms."""
        return next((name for name in self.problem.additive if name.startswith("latency")), "")

    def weights(self, expected: Mapping[str, float], loss: float) -> tuple[float, dict[str, float]]:
        """The factor of the task's gradient, and that of each metric's expectation, at these expectations."""
        if isinstance(self.kind, Adaptive):
            return 1.0, self._priced(expected)
        mean_ms, reference_ms = expected[self.latency], self.kind.reference * MS
        if isinstance(self.kind, Linear):
            return 1.0, {self.latency: self.kind.weight / reference_ms}
        ratio = math.log(mean_ms) / math.log(reference_ms)
        slope = self.kind.power * ratio ** (self.kind.power - 1) / (mean_ms * math.log(reference_ms))
        return self.kind.scale * ratio**self.kind.power, {self.latency: loss * self.kind.scale * slope}

    def _priced(self, expected: Mapping[str, float]) -> dict[str, float]:
        found: dict[str, float] = {}
        for cap, penalty in zip(self.caps, self.penalties, strict=True):
            sign = 1.0 if cap.relation == "<=" else -1.0
            weight = sign * penalty.weight(cap.excess(expected[cap.name])) / (abs(cap.limit) or 1.0)
            found[cap.name] = found.get(cap.name, 0.0) + weight
        return found

    def update(self, expected: Mapping[str, float]) -> None:
        """One step of dual ascent of every cap."""
        for cap, penalty in zip(self.caps, self.penalties, strict=True):
            penalty.update(cap.excess(expected[cap.name]))

    @property
    def prices(self) -> dict[str, float]:
        """The price of each cap, by its text."""
        pairs = zip(self.caps, self.penalties, strict=True)
        return {f"{cap}": penalty.price for cap, penalty in pairs} if isinstance(self.kind, Adaptive) else {}

    def state(self) -> list[dict[str, Any]]:
        """The prices, as JSON takes them."""
        return [asdict(each) for each in self.penalties]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Go back to a state."""
        self.penalties = [Penalty(**each) for each in state]


def check_penalty(problem: Problem, kind: LatencyTerm) -> None:
    """Whether a latency term can be used with a space.

    Raises:
        SearchProblem: there is no latency, or the log form has no meaning: a logarithm that is 0 or negative.
    """
    if isinstance(kind, Adaptive):
        return
    latencies = [each for name, each in problem.additive.items() if name.startswith("latency")]
    way_out = "use `penalty = adaptive` and a cap, or `linear`"
    if not latencies:
        raise SearchProblem("a latency term needs a latency table", "profile the target first")
    if kind.reference <= 0:
        raise SearchProblem("the reference of a latency term is 0", "give a time above it")
    if isinstance(kind, Log):
        least = latencies[0].total(latencies[0].least)
        if kind.reference * MS <= 1 or least <= 1:
            what = f"the log form needs latencies above 1 ms, and the least here is {least:.4g} ms"
            if kind.reference * MS <= 1:
                what = f"the log form needs a reference above 1 ms, and it is {kind.reference * MS:.4g} ms"
            raise SearchProblem(what, way_out)
