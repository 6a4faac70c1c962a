"""The places of the file on the left of a picture: one bracket for each, outermost first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from compiler.picture.text import fitted, width
from compiler.picture.values import Box

LEVELS = 2
"""How deep places have brackets; what is deeper stands in the boxes' names."""
NAME_PX, NAME_MOST = 12.0, 150.0
LANE_PADDING = 14.0
Place = tuple[str, ...]


@dataclass(frozen=True)
class Bracket:
    """The name of a place, ending at `x`, beside a line from `top` to `bottom`."""

    name: str
    title: str
    x: float
    top: float
    bottom: float


def names_of(
    boxes: Sequence[Box], ranks: Sequence[int], bracketed: bool
) -> tuple[list[str], list[tuple[Place, ...]]]:
    """The name that each box shows itself, and the places that stand on its left instead.

    A place has a bracket where no box of another stands beside its own. Those in an outermost place have one
    where there are several, and one of them holds more than one box.
    """
    if not bracketed:
        shared = _shared([box.place for box in boxes if box.place])
        return [".".join(box.place[shared:]) for box in boxes], [()] * len(boxes)
    held = {outer[:depth] for box in boxes for outer in [_outer(box)] for depth in range(1, len(outer) + 1)}
    outers = [box.place if box.place in held else _outer(box) for box in boxes]
    clear = _clear(outers, ranks)
    names, prefixes = [], []
    for box, outer in zip(boxes, outers, strict=True):
        prefix = tuple(
            outer[:depth] for depth in range(1, min(LEVELS, len(outer)) + 1) if outer[:depth] in clear
        )
        names.append(".".join(box.place[len(prefix[-1]) if prefix else 0 :]))
        prefixes.append(prefix)
    return names, prefixes


def _shared(places: Sequence[Place]) -> int:
    """How many of the first names are those of all places; the last name of each is its own."""
    inner = [place[:-1] for place in places]
    same = takewhile(lambda names: len(set(names)) == 1, zip(*inner, strict=False))
    return sum(1 for _ in same)


def _outer(box: Box) -> Place:
    """The places that hold a box: a decision's own name is none, unless others stand in it, too."""
    return box.place[:-1] if box.kind == "decision" else box.place


def _clear(outers: Sequence[Place], ranks: Sequence[int]) -> set[Place]:
    """The places that may have a bracket."""
    found: set[Place] = set()
    for depth in range(1, LEVELS + 1):
        members: dict[Place, list[int]] = {}
        for outer, rank in zip(outers, ranks, strict=True):
            if len(outer) >= depth and (depth == 1 or outer[: depth - 1] in found):
                members.setdefault(outer[:depth], []).append(rank)
        alone = {place for place, own in members.items() if _stands_alone(place, own, outers, ranks)}
        found |= alone if depth == 1 else {place for place in alone if _is_worth(place, members)}
    return found


def _stands_alone(place: Place, own: Sequence[int], outers: Sequence[Place], ranks: Sequence[int]) -> bool:
    first, last = min(own), max(own)
    return all(
        outer[: len(place)] == place or not first <= rank <= last
        for outer, rank in zip(outers, ranks, strict=True)
    )


def _is_worth(place: Place, members: dict[Place, list[int]]) -> bool:
    siblings = [own for other, own in members.items() if other[:-1] == place[:-1]]
    return len(siblings) > 1 and max(map(len, siblings)) > 1


def brackets_of(
    prefixes: Sequence[tuple[Place, ...]], extents: Sequence[tuple[float, float]]
) -> tuple[list[Bracket], float]:
    """The brackets beside boxes that reach from top to bottom, and the width of the gutter that they need."""
    spans: dict[Place, tuple[float, float]] = {}
    for places, (top, bottom) in zip(prefixes, extents, strict=True):
        for place in places:
            before = spans.get(place, (top, bottom))
            spans[place] = (min(top, before[0]), max(bottom, before[1]))
    found: list[Bracket] = []
    x = 0.0
    for depth in sorted({len(place) for place in spans}):
        texts = {place: fitted(place[-1], NAME_PX, NAME_MOST) for place in spans if len(place) == depth}
        x += max(width(text, NAME_PX, bold=True) for text in texts.values()) + LANE_PADDING
        found += [Bracket(text, ".".join(place), x, *spans[place]) for place, text in texts.items()]
    return found, x + LANE_PADDING if found else 0.0
