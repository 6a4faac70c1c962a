"""The picture of a space as a whole: what it says above, the drawing, and the key to it below."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from compiler.cost import cost
from compiler.counting import Counter, TooEntangled
from compiler.derive import derive
from compiler.ir.graph import SpaceGraph
from compiler.passes.flatten import CannotFlatten, flatten, mixed_nodes
from compiler.picture.marks import Marks
from compiler.picture.space import SpacePicture, picture_of
from compiler.picture.text import width
from dsl.suggest import counted
from runtime.picture.draw import drawn
from runtime.picture.key import LINE_HEIGHT, MARGIN, foot, key_of, wrapped
from runtime.picture.shapes import Picture, group, label, rectangle
from runtime.report.numbers import count

TITLE_PX, TEXT_PX = 20.0, 12.0
LEAST_WIDTH = 560.0
DIGITS_SHOWN = 40
"""The longest number of networks that is written out."""
FLATTENED_OPERATORS_CAP, FLATTENED_DECISIONS_CAP = 6000, 400
"""More operators or decisions are drawn as they are written: flattening takes longer than a picture may."""


@dataclass(frozen=True)
class Figure:
    """The picture with what it was made from: the graph drawn, its words and notes."""

    space: SpaceGraph
    shown: SpaceGraph
    picture: Picture
    lines: tuple[str, ...]
    notes: tuple[str, ...]


def flattened(space: SpaceGraph) -> tuple[SpaceGraph, str]:
    """The space in mixed ops where that can be, and why where it cannot, else ""."""
    operators, decisions = sum(1 for _ in space.walk()), len(space.decisions)
    if not decisions:
        return space, ""
    if operators > FLATTENED_OPERATORS_CAP or decisions > FLATTENED_DECISIONS_CAP:
        many = f"{operators:,} operators with {decisions:,} decisions are too many to flatten for a picture"
        return space, f"Drawn as it is written: {many}."
    try:
        return flatten(space), ""
    except (CannotFlatten, TooEntangled) as problem:
        return space, f"Drawn as it is written, decisions inside candidates: {problem}."


def figure_of(space: SpaceGraph, shown: SpaceGraph, marks: Marks, said: Sequence[str] = ()) -> Figure:
    """The picture of `space`, drawn as `shown`; `said` are notes on where the marks came from."""
    found = picture_of(shown, marks)
    lines = (*_lines(space, shown, marks), *said)
    picture = _picture(space.name, found, lines, marks)
    return Figure(space, shown, picture, lines, found.notes)


def _lines(space: SpaceGraph, shown: SpaceGraph, marks: Marks) -> Iterator[str]:
    decisions, mixed = len(space.decisions), len(mixed_nodes(shown))
    if decisions:
        made = f" in {mixed} mixed ops" if mixed else ""
        yield f"{_size(space)}{counted(decisions, 'decision')}{made}"
    if marks.choices is not None:
        found = cost(derive(space, marks.choices))
        yield (
            f"This network: {count(found.params)} parameters, {count(found.macs)} MACs, "
            f"{found.peak_memory_bytes / 1024:,.0f} KiB of activations at the peak"
        )


def _size(space: SpaceGraph) -> str:
    try:
        size = Counter(space).size()
    except TooEntangled:
        return ""
    tens = math.floor(math.log10(size))
    number = f"{size:,}" if tens < DIGITS_SHOWN else f"about 10^{tens}"
    return f"{number} networks · "


def _picture(name: str, found: SpacePicture, lines: Sequence[str], marks: Marks) -> Picture:
    layout = found.layout
    size = max(LEAST_WIDTH, layout.width + 2 * MARGIN, width(name, TITLE_PX, bold=True) + 2 * MARGIN)
    y = MARGIN + TITLE_PX
    shapes = [label(MARGIN, y - 3, name, "title")]
    for text in [row for line in lines for row in wrapped(line, size - 2 * MARGIN, TEXT_PX)]:
        y += LINE_HEIGHT
        shapes.append(label(MARGIN, y, text, "subtitle"))
    top = y + MARGIN
    shapes.append(group(drawn(layout), "space", x=(size - layout.width) / 2, y=top))
    below, y = foot(list(key_of(found.diagram, marks)), found.notes, size, top + layout.height + MARGIN)
    back = rectangle(0, 0, size, y + MARGIN, "page")
    description = " ".join([*[f"{line}." for line in lines], *found.notes])
    return Picture("space", f"The space {name}", description, size, y + MARGIN, (back, *shapes, *below))
