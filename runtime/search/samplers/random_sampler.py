"""Random sampling without repetition: the baseline that others must beat (Li and Talwalkar, UAI 2019)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compiler.nets.streams import stream
from runtime.search.samplers.sampler import Judged, Picks, allowed

TRIES = 50
"""Draws until one is new; then a known network is asked for again."""


@dataclass
class RandomSampler:
    """Uniform draws under the caps."""

    candidates: Sequence[int]
    seed: int
    excess: Callable[[Picks], float] = lambda picks: 0.0
    seen: set[Picks] = field(default_factory=set)
    asked: int = 0

    def ask(self) -> Picks:
        """A network that was not asked for, as far as `TRIES` draws find one."""
        generator = stream(self.seed, "sample", self.asked)
        self.asked += 1
        for _ in range(TRIES):
            picks = allowed(self.candidates, self.excess, generator)
            if picks not in self.seen:
                break
        return picks

    def tell(self, judged: Judged) -> None:
        """Nothing is learnt but what was seen."""
        self.seen.add(judged.picks)

    def probabilities(self) -> list[list[float]]:
        """Uniform."""
        return [[1 / size] * size for size in self.candidates]

    def state(self) -> Mapping[str, Any]:
        """What was seen."""
        return {"seen": sorted(self.seen), "asked": self.asked}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state."""
        self.seen, self.asked = {tuple(picks) for picks in state["seen"]}, int(state["asked"])
