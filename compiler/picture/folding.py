"""Bound a picture: what repeats is drawn once, and what is too long is folded in the middle.

Whatever is folded is a stretch of the topological order. So no path leaves it and comes back, and the picture
stays without cycles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from compiler.ir.expression import choices_of
from compiler.ir.graph import Graph, Node, walk
from compiler.picture.units import Unit, read_by

FIXED_FROM = 40
"""Boxes from which on repetition without a decision is folded, too."""
TIMES_LEAST = 3
"""Equal stretches in a row that are worth folding."""
PERIOD_CAP = 64
"""The longest stretch whose repetition is looked for."""


@dataclass(frozen=True)
class Fold:
    """Units that one box stands for; `again` and `times` say that they repeat the last `again` units before."""

    units: tuple[Unit, ...]
    place: tuple[str, ...] = ()
    again: int = 0
    times: int = 0

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes in it, in order."""
        return tuple(node for unit in self.units for node in unit.nodes)

    @property
    def within(self) -> list[Node]:
        """The nodes in it, with those in their candidates."""
        return [node for _, node in walk(Graph(self.nodes, ""))]

    @property
    def decisions(self) -> set[str]:
        """The paths of the decisions that something in it depends on."""
        return paths_read(self.within)

    @property
    def name(self) -> str:
        """Its place, else the first and the last place in it."""
        first, last = (".".join(unit.place) for unit in (self.units[0], self.units[-1]))
        return ".".join(self.place) or f"{first} … {last}".strip(" …") or "folded"


def paths_read(nodes: Iterable[Node]) -> set[str]:
    """The paths of the decisions that nodes depend on by themselves, without those of their candidates' nodes."""
    found: set[str] = set()
    for node in nodes:
        found.update(path for candidate in node.candidates for path, _ in candidate.choices)
        found.update(choices_of(node.selector, *[value for _, value in node.attributes]))
    return found


def folded(units: Sequence[Unit], cap: int) -> list[Unit | Fold]:
    """The units in the order given, folded to about `cap` boxes: of more, the beginning and the end are kept."""
    result = list(_without_repeats(units))
    return result if len(result) <= cap else _without_middle(result, cap)


def _without_repeats(units: Sequence[Unit]) -> Iterator[Unit | Fold]:
    """Each stretch that repeats once, and one box for its other times."""
    marks, at = _signatures(units), 0
    fixed_too = len(units) > FIXED_FROM
    reach = _reaches(marks)
    while at < len(units):
        period, times = _repetition(reach, at)
        stretch = units[at : at + period]
        if times < TIMES_LEAST or not (fixed_too or any(unit.last.candidates for unit in stretch)):
            yield units[at]
            at += 1
            continue
        yield from stretch
        yield Fold(tuple(units[at + period : at + period * times]), again=period, times=times - 1)
        at += period * times


def _signatures(units: Sequence[Unit]) -> list[int]:
    """A number for each unit, the same where two differ in names alone and read what stands as far before them.

    Equal decisions are the same decision, that of a tied block: others are left apart, however alike.
    """
    owner = {node.name: index for index, unit in enumerate(units) for node in unit.nodes}
    numbers: dict[object, int] = {}
    return [
        numbers.setdefault(
            tuple((node.op, tuple(index - owner[operand] for operand in read_by(node)), node.type, node.attributes,
                   node.selector, _choices(node)) for node in unit.nodes), len(numbers))
        for index, unit in enumerate(units)
    ]  # fmt: skip


def _choices(node: Node) -> object:
    """What the candidates of a node stand for; what is in them follows from it, and from the types."""
    return tuple((each.key, each.choices) for each in node.candidates)


def _reaches(marks: Sequence[int]) -> list[list[int]]:
    """For each period, from each place, how many marks in a row are equal to that one period later."""
    reaches = []
    for period in range(1, min(PERIOD_CAP, len(marks) // 2) + 1):
        run, row = 0, [0] * len(marks)
        for at in range(len(marks) - period - 1, -1, -1):
            run = run + 1 if marks[at] == marks[at + period] else 0
            row[at] = run
        reaches.append(row)
    return reaches


def _repetition(reaches: Sequence[Sequence[int]], at: int) -> tuple[int, int]:
    """The shortest period of those that repeat over the longest stretch from a place, and how often it stands there."""
    best = (0, 1, 1)
    for period, row in enumerate(reaches, 1):
        times = row[at] // period + 1
        if times >= TIMES_LEAST and times * period > best[0]:
            best = (times * period, period, times)
    return best[1], best[2]


def _without_middle(items: Sequence[Unit | Fold], cap: int) -> list[Unit | Fold]:
    """The first half of `cap` items, the last quarter, and what is between them by place."""
    head, tail = cap // 2, len(items) - cap // 4
    middle = [
        unit for item in items[head:tail] for unit in (item.units if isinstance(item, Fold) else [item])
    ]
    longest = max(len(unit.place) for unit in middle)
    for depth in range(longest, -1, -1):
        segments = _segments(middle, depth)
        if len(segments) <= cap // 4:
            break
    return [*items[:head], *[_folded(segment, depth) for segment in segments], *items[tail:]]


def _segments(items: Sequence[Unit], depth: int) -> list[list[Unit]]:
    """Neighbours of one place, at a depth."""
    return [list(group) for _, group in groupby(items, key=lambda item: item.place[:depth])]


def _folded(units: Sequence[Unit], depth: int) -> Unit | Fold:
    return units[0] if len(units) == 1 else Fold(tuple(units), units[0].place[:depth])
