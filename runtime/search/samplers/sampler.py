"""What every sampler is, and the space it samples: decisions, their candidates, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from compiler.nets.architecture_parameters import draw_uniform
from compiler.path_costs import Picks

TRIES = 20
"""Draws until one is under the caps."""


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
    """A search over single networks; `repeats` says that it learns from networks that it asks for again."""

    repeats: bool

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


@dataclass(frozen=True)
class Region:
    """Where a sampler may look: `excess` is by how much a network breaks its caps, infinite where it cannot be
    judged; `fallback` draws one that holds them, for where draws do not find any. Where the networks that hold them
    are listed, `fallback` draws from these, all equally likely."""

    candidates: tuple[int, ...]
    excess: Callable[[Picks], float] = lambda picks: 0.0
    fallback: Callable[[torch.Generator], Picks] | None = None
    listed: bool = False

    def fresh(self, generator: torch.Generator) -> Picks:
        """A uniform draw under the caps."""
        if self.listed and self.fallback is not None:
            return self.fallback(generator)
        return self.under(lambda: draw_uniform(self.candidates, generator), generator)

    def under(self, draw: Callable[[], Picks], generator: torch.Generator) -> Picks:
        """The first of `TRIES` draws that is under the caps; else the fallback, or the nearest to them."""
        excess, picks = least_excess(draw, self.excess, TRIES)
        return picks if excess <= 0 or self.fallback is None else self.fallback(generator)


def least_excess(
    draw: Callable[[], Picks], excess: Callable[[Picks], float], tries: int
) -> tuple[float, Picks]:
    """The first of up to `tries` draws that breaks no cap, else the one that breaks them least; and by how much."""
    drawn: list[tuple[float, Picks]] = []
    while len(drawn) < tries and not (drawn and drawn[-1][0] <= 0):
        picks = draw()
        drawn.append((excess(picks), picks))
    return min(drawn)
