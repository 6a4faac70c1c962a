"""What is taken of several runs and rounds: a machine that is not alone is slower at times, and faster at others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

MEDIAN_MS = 150.0
"""For about how long a network is run for one median."""
FEWEST_RUNS, MOST_RUNS = 100, 5000

Round = TypeVar("Round")


def runs(typical_ms: float) -> int:
    """As many runs of a network as one median is taken of: for about `MEDIAN_MS`."""
    return int(min(MOST_RUNS, max(FEWEST_RUNS, MEDIAN_MS / typical_ms)))


def middle(rounds: Iterable[Round], time: Callable[[Round], float]) -> Round:
    """The round that as many are faster as slower than; of an even number the faster of two."""
    ordered = sorted(rounds, key=time)
    return ordered[(len(ordered) - 1) // 2]
