"""What every sampler is, and the space it samples: decisions, their candidates, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from compiler.nets.architecture_parameters import draw_uniform

Picks = tuple[int, ...]
"""A network: the index of the candidate of each decision."""


@dataclass(frozen=True)
class Judged:
    """A network that was judged: its score, to be made great, and its objectives, each to be made small.

    `excess` is by how much it breaks its caps, relative to them, added up; 0 where it holds them all.
    """

    picks: Picks
    score: float
    objectives: tuple[float, ...] = ()
    excess: float = 0.0


class Sampler(Protocol):
    """A search over single networks."""

    def ask(self) -> Picks:
        """The network to judge next."""

    def tell(self, judged: Judged) -> None:
        """What the network asked for last was worth."""

    def probabilities(self) -> list[list[float]]:
        """How likely each candidate of each decision is among the networks to come."""

    def state(self) -> Mapping[str, Any]:
        """Everything that `ask` and `tell` change, as JSON takes it."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state."""


def shares(candidates: Sequence[int], networks: Sequence[Picks]) -> list[list[float]]:
    """How often each candidate of each decision occurs in some networks; all alike where there are none."""
    if not networks:
        return [[1 / size] * size for size in candidates]
    columns = zip(*networks, strict=True)
    return [
        [column.count(index) / len(networks) for index in range(size)]
        for size, column in zip(candidates, map(list, columns), strict=True)
    ]


def allowed(
    candidates: Sequence[int], excess: Callable[[Picks], float], generator: torch.Generator, tries: int = 100
) -> Picks:
    """A uniform draw under the caps; after `tries` draws the one that breaks them least."""
    least, found = float("inf"), draw_uniform(candidates, generator)
    for _ in range(tries):
        picks = draw_uniform(candidates, generator)
        over = excess(picks)
        if over <= 0:
            return picks
        if over < least:
            least, found = over, picks
    return found
