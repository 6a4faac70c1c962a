"""Where the values of a network lie in one workspace, so that values that are never alive together share it.

Greedy by size (Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020): the
largest value first, each at the lowest place that is free for as long as it lives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ALIGNMENT = 16
"""Values start on a cache line: 16 fp32 values."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A value of `size` fp32 values, written by call `first` and read last by call `last`."""

    name: str
    size: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Memory:
    """The place of every value, and the size of the workspace, in fp32 values."""

    offsets: Mapping[str, int]
    size: int


def plan_memory(lifetimes: Sequence[Lifetime]) -> Memory:
    """Place all values; two overlap only where their lifetimes do not."""
    placed: list[tuple[Lifetime, int]] = []
    for value in sorted(lifetimes, key=lambda value: (-value.size, value.first, value.name)):
        busy = sorted(
            (start, start + other.size)
            for other, start in placed
            if other.first <= value.last and value.first <= other.last
        )
        place = 0
        for start, stop in busy:
            if place + value.size <= start:
                break
            place = max(place, -(-stop // ALIGNMENT) * ALIGNMENT)
        placed.append((value, place))
    size = max((start + value.size for value, start in placed), default=0)
    return Memory({value.name: start for value, start in placed}, size)
