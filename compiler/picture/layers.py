"""Layered drawing of a graph without cycles: ranks, the order within a rank, and horizontal places.

The steps are those of Sugiyama, Tagawa and Toda, Methods for visual understanding of hierarchical system
structures, IEEE Transactions on Systems, Man, and Cybernetics 11 (1981): longest-path ranks, a joint in each
rank that a wire passes, barycentres against crossings. Horizontal places are weighted least squares under the
order of each rank: isotonic regression by pooling adjacent violators (Ayer et al., Annals of Mathematical
Statistics 26, 1955).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

JOINTS_CAP = 4000
"""The most joints; the longest wires beyond them go without, along the margin."""
ORDER_SWEEPS, PLACE_TURNS = 6, 4
FAR = 3
"""Ranks that make it worth to move a box down although no wire gets shorter."""
STRAIGHT = 0.001
"""The weight of a wire with joints beside a direct one: skips give way, the trunk stays straight."""


@dataclass(frozen=True)
class Layered:
    """A graph in ranks. Vertices from `boxes` on are joints.

    `ranks` holds the vertices of each rank from left to right; `paths` for each wire its vertices from source
    to target, only these two for a wire to the next rank or one that goes along the margin.
    """

    boxes: int
    rank: tuple[int, ...]
    ranks: tuple[tuple[int, ...], ...]
    paths: tuple[tuple[int, ...], ...]

    @property
    def segments(self) -> list[tuple[int, int]]:
        """The pieces of wires between neighbouring ranks."""
        pieces = [piece for path in self.paths for piece in pairwise(path)]
        return [(a, b) for a, b in pieces if self.rank[b] - self.rank[a] == 1]


def layered(boxes: int, wires: Sequence[tuple[int, int]]) -> Layered:
    """Ranks and order of vertices `0 … boxes - 1`, which stand in topological order."""
    rank = _longest_paths(boxes, wires)
    spans = sorted(range(len(wires)), key=lambda at: rank[wires[at][1]] - rank[wires[at][0]])
    jointed, used = set(), 0
    for at in spans:
        used += rank[wires[at][1]] - rank[wires[at][0]] - 1
        if used <= JOINTS_CAP:
            jointed.add(at)
    paths = []
    for at, (source, target) in enumerate(wires):
        first = len(rank)
        if at in jointed:
            rank += range(rank[source] + 1, rank[target])
        paths.append((source, *range(first, len(rank)), target))
    ranks: list[list[int]] = [[] for _ in range(max(rank, default=0) + 1)]
    for vertex, at in enumerate(rank):
        ranks[at].append(vertex)
    return _ordered(Layered(boxes, tuple(rank), tuple(map(tuple, ranks)), tuple(paths)))


def _longest_paths(boxes: int, wires: Sequence[tuple[int, int]]) -> list[int]:
    """The rank of each box: one more than the latest it reads.

    A box goes down to its readers where that shortens more wires than it lengthens, or as many and far: then
    those that it reads can follow.
    """
    rank = [0] * boxes
    entering: list[list[int]] = [[] for _ in rank]
    leaving: list[list[int]] = [[] for _ in rank]
    for source, target in wires:
        entering[target].append(source)
        leaving[source].append(target)
    for box in range(boxes):
        rank[box] = max((rank[source] + 1 for source in entering[box]), default=0)
    for box in reversed(range(boxes)):
        if leaving[box]:
            lowest = min(rank[target] for target in leaving[box]) - 1
            gained = len(leaving[box]) - len(entering[box])
            if gained > 0 or (gained == 0 and lowest - rank[box] >= FAR):
                rank[box] = lowest
    return rank


def _ordered(graph: Layered) -> Layered:
    """The order of least crossings among those that sweeps of barycentres meet."""
    above, below = _neighbours(graph)
    ranks = [list(each) for each in graph.ranks]
    best, fewest = [list(each) for each in ranks], _crossings(ranks, below)
    for sweep in range(ORDER_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for at in range(1, len(ranks)) if down else range(len(ranks) - 2, -1, -1):
            _sort(ranks[at], ranks[at - 1 if down else at + 1], above if down else below)
        crossings = _crossings(ranks, below)
        if crossings < fewest:
            best, fewest = [list(each) for each in ranks], crossings
    return Layered(graph.boxes, graph.rank, tuple(map(tuple, best)), graph.paths)


def _neighbours(graph: Layered) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in graph.rank]
    below: list[list[int]] = [[] for _ in graph.rank]
    for source, target in graph.segments:
        below[source].append(target)
        above[target].append(source)
    return above, below


def _sort(rank: list[int], fixed: Sequence[int], neighbours: Sequence[Sequence[int]]) -> None:
    place = {vertex: at for at, vertex in enumerate(fixed)}
    own = {vertex: at for at, vertex in enumerate(rank)}
    centre = {vertex: _mean([place[each] for each in neighbours[vertex]], own[vertex]) for vertex in rank}
    rank.sort(key=lambda vertex: (centre[vertex], own[vertex]))


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _crossings(ranks: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> int:
    """Pairs of pieces that cross: inversions of their ends, rank by rank."""
    total = 0
    for upper, lower in pairwise(ranks):
        place = {vertex: at for at, vertex in enumerate(lower)}
        seen: list[int] = []
        for vertex in upper:
            ends = sorted(place[each] for each in below[vertex])
            total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def horizontal(graph: Layered, widths: Sequence[float], gap: float) -> list[float]:
    """The middle of each vertex: straight wires as far as the order and the widths allow.

    What stands alone in its rank stands on the axis, at 0. The other ranks are set by turns under what they read,
    over what reads them, and at last between both.
    """
    above, below = _weighted(graph)
    place = [0.0] * len(graph.rank)
    between = [[*over, *under] for over, under in zip(above, below, strict=True)]
    for neighbours, ranks in [
        *[(above, graph.ranks), (below, graph.ranks[::-1])] * PLACE_TURNS,
        (between, graph.ranks),
    ]:
        for rank in ranks:
            wanted = [_wanted(neighbours[vertex], place, place[vertex]) for vertex in rank]
            if len(rank) > 1:
                _set(rank, [at for at, _ in wanted], [weight for _, weight in wanted], widths, gap, place)
    return place


Weighted = list[list[tuple[int, float]]]


def _weighted(graph: Layered) -> tuple[Weighted, Weighted]:
    """The neighbours of each vertex above and below it, with the weights of their wires."""
    above: Weighted = [[] for _ in graph.rank]
    below: Weighted = [[] for _ in graph.rank]
    for source, target in graph.segments:
        weight = 1.0 if source < graph.boxes and target < graph.boxes else STRAIGHT
        below[source].append((target, weight))
        above[target].append((source, weight))
    return above, below


def _wanted(
    neighbours: Sequence[tuple[int, float]], place: Sequence[float], own: float
) -> tuple[float, float]:
    total = sum(weight for _, weight in neighbours)
    if not total:
        return own, STRAIGHT
    return sum(place[at] * weight for at, weight in neighbours) / total, total


def _set(
    rank: Sequence[int], wanted: Sequence[float], weights: Sequence[float], widths: Sequence[float],
    gap: float, place: list[float],
) -> None:  # fmt: skip
    """Put a rank's vertices nearest to where they want to be, in their order and apart from each other."""
    offsets, at = [], 0.0
    for left, right in zip((None, *rank), rank, strict=False):
        at += 0.0 if left is None else (widths[left] + widths[right]) / 2 + gap
        offsets.append(at)
    goals = [goal - offset for goal, offset in zip(wanted, offsets, strict=True)]
    for vertex, offset, goal in zip(rank, offsets, _isotonic(goals, weights), strict=True):
        place[vertex] = goal + offset


def _isotonic(goals: Iterable[float], weights: Iterable[float]) -> list[float]:
    """The rising values nearest to `goals`, by weighted squares."""
    pools: list[tuple[float, float, int]] = []
    for goal, weight in zip(goals, weights, strict=True):
        pool = (goal, weight, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, mass, size = pools.pop()
            together = mass + pool[1]
            pool = ((mean * mass + pool[0] * pool[1]) / together, together, size + pool[2])
        pools.append(pool)
    return [mean for mean, _, size in pools for _ in range(size)]
