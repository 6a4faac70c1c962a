"""Progressive path pruning: unlikely paths are dropped while the search goes on, until each decision has one.

As in ProxylessNAS's account of path-level pruning (Cai, Zhu, Han, ICLR 2019, section 3.1), with a threshold that
rises. A path that is dropped is never drawn again, and its weights and momenta are freed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.caps import Caps
from dsl.settings import Progressive


@dataclass(frozen=True)
class Drop:
    """A path to be dropped: its decision and index, its probability, and the threshold that it fell under."""

    decision: int
    pick: int
    probability: float
    threshold: float


def threshold(options: Progressive, share: float) -> float:
    """The least ratio of a path's probability to its decision's greatest, after `share` of the search."""
    going = (share - options.delay) / (1 - options.delay) if options.delay < 1 else 0.0
    return float(max(0.0, going) ** options.power)


def to_drop(
    options: Progressive,
    share: float,
    probabilities: Sequence[Sequence[float]],
    alive: Sequence[Sequence[int]],
    caps: Caps,
) -> list[Drop]:
    """The paths that fall under the threshold now: at most one a decision, the least likely.

    A path stays while no network without it holds the caps. At the end of the search (`share` 1) all but the most
    probable network that holds them are dropped.
    """
    limit = threshold(options, share)
    left = [list(row) for row in alive]
    found = []
    for at, part in enumerate(probabilities):
        if len(left[at]) < 2:
            continue
        pick = min(left[at], key=part.__getitem__)
        if part[pick] < limit * max(part[each] for each in left[at]):
            rest = [*left[:at], [each for each in left[at] if each != pick], *left[at + 1 :]]
            if caps.feasible(rest):
                left = rest
                found.append(Drop(at, pick, part[pick], limit))
    return found
