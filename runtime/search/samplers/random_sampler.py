"""Random sampling without repetition: the baseline that others must beat (Li and Talwalkar, UAI 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compiler.nets.streams import stream
from compiler.path_costs import Picks
from runtime.search.samplers.sampler import Judged, Region

TRIES = 50
"""Draws until one is new; then a known network is asked for again."""


@dataclass
class RandomSampler:
    """Uniform draws under the caps."""

    region: Region
    seed: int
    seen: set[Picks] = field(default_factory=set)
    asked: int = 0
    repeats: bool = False

    def ask(self) -> Picks:
        """A network that was not asked for, as far as `TRIES` draws find one."""
        generator = stream(self.seed, "sample", self.asked)
        self.asked += 1
        for _ in range(TRIES):
            picks = self.region.fresh(generator)
            if picks not in self.seen:
                break
        return picks

    def tell(self, judged: Judged) -> None:
        """Nothing is learnt but what was seen."""
        self.seen.add(judged.picks)

    def probabilities(self) -> list[list[float]]:
        """Uniform."""
        return [[1 / size] * size for size in self.region.candidates]

    def state(self) -> Mapping[str, Any]:
        """What was seen."""
        return {"seen": sorted(self.seen), "asked": self.asked}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state."""
        self.seen, self.asked = {tuple(picks) for picks in state["seen"]}, int(state["asked"])
