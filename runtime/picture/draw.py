"""A layout as shapes: boxes, cells, wires and brackets, each with its class and its tooltip."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.picture.brackets import LANE_PADDING, Bracket
from compiler.picture.frames import CELL_PX, CellAt, Words
from compiler.picture.layout import BoxAt, Layout, PaneAt, WireAt
from compiler.picture.text import fitted
from compiler.picture.values import Box, Cell
from runtime.picture.shapes import (
    Shape,
    circle,
    curve,
    group,
    label,
    move,
    path,
    polygon,
    polyline,
    rectangle,
    straight,
)

ARROW_HEIGHT, ARROW_HALF = 6.0, 3.2
STRIPE = 4.0
LOOP = 18.0
"""How far the curve of a residual reaches out of its box."""
UNCOLOURED = ("value", "more", "nested", "")


def drawn(layout: Layout) -> list[Shape]:
    """The shapes of a layout, from its upper left corner: wires below boxes, types above both."""
    shapes = [shape for bracket in layout.brackets for shape in _bracket(bracket)]
    ordered = sorted(layout.wires, key=lambda wire: not wire.wire.pale)
    shapes += [shape for wire in ordered for shape in _wire(wire)]
    for box in layout.boxes:
        shapes += _box(box)
    shapes += [_type(box) for box in layout.boxes if box.box.output]
    return shapes


def _bracket(bracket: Bracket) -> Iterator[Shape]:
    x, middle = bracket.x, (bracket.top + bracket.bottom) / 2
    inner = x + LANE_PADDING / 2
    yield polyline([(inner, bracket.top), (x + 2, bracket.top), (x + 2, bracket.bottom), (inner, bracket.bottom)],
                   "bracket")  # fmt: skip
    yield group([label(x - 5, middle + 4, bracket.name, "place-name", "end")], "place", bracket.title)


def _wire(wire: WireAt) -> Iterator[Shape]:
    (x, y), *rest = wire.points
    pieces, (end, bottom) = [move(x, y)], wire.points[-1]
    for to, down in rest:
        last = down - ARROW_HEIGHT + 1 if (to, down) == wire.points[-1] else down
        middle = (y + last) / 2
        pieces.append(
            straight(to, last) if abs(to - x) < 0.05 else curve((x, middle), (to, middle), (to, last))
        )
        x, y = to, last
    pale = " pale" if wire.wire.pale else ""
    yield path("".join(pieces), f"wire{pale}")
    tip = [
        (end - ARROW_HALF, bottom - ARROW_HEIGHT),
        (end + ARROW_HALF, bottom - ARROW_HEIGHT),
        (end, bottom),
    ]
    yield polygon(tip, f"tip{pale}")


def _box(box: BoxAt) -> Iterator[Shape]:
    if box.box.residual:
        yield from _loop(box)
    radius = box.height / 2 if box.box.kind in ("terminal", "merge") else 6
    back = rectangle(0, 0, box.width, box.height, "back", radius)
    inside = [back, *[_words(words) for words in box.frame.words], *[_cell(cell) for cell in box.frame.cells],
              *[_pane(pane) for pane in box.panes]]  # fmt: skip
    yield group(inside, f"box {box.box.kind}", box.box.title or _head(box.box), box.x, box.y)


def _head(box: Box) -> str:
    """The tooltip of a box as a whole: that of its single row or line."""
    if len(box.rows) == 1:
        return box.rows[0].title
    return box.lines[0].title if len(box.lines) == 1 else ".".join(box.place)


def _loop(box: BoxAt) -> Iterator[Shape]:
    """The curve past a box of what is added to its result."""
    right, top, bottom = box.x + box.width - 16, box.y, box.bottom
    out, middle = box.x + box.width + LOOP, (top + bottom) / 2
    first = curve((right, top - 9), (out, top - 9), (out, middle))
    yield path(
        move(right, top) + first + curve((out, bottom + 9), (right, bottom + 9), (right, bottom)), "wire loop"
    )
    yield circle(out, middle, 6.5, "plus")
    yield label(out, middle + 4, "+", "plus-sign", "middle")


def _words(words: Words) -> Shape:
    anchor = "middle" if words.middle else "start"
    text = label(words.x, words.y, words.text, words.css, anchor, detail=words.detail)
    return group([text], "words", words.title) if words.title else text


def _cell(at: CellAt) -> Shape:
    cell = at.cell
    shapes = [rectangle(at.x, at.y, at.width, at.height, "ground", 4)]
    if cell.share is not None:
        shapes.append(rectangle(at.x, at.y, at.width * cell.share, at.height, "share", 4))
    if cell.family not in UNCOLOURED:
        shapes.append(rectangle(at.x, at.y, STRIPE, at.height, f"stripe {cell.family}", 2))
    shapes += _cell_text(at, cell)
    if cell.state == "chosen":
        shapes.append(rectangle(at.x, at.y, at.width, at.height, "outline", 4))
    css = ["cell", cell.family, cell.state, "" if cell.share is None else "shared"]
    return group(shapes, " ".join(word for word in css if word), cell.title)


def _cell_text(at: CellAt, cell: Cell) -> Iterator[Shape]:
    middle = at.x + at.width / 2 + (STRIPE / 2 if cell.family not in UNCOLOURED else 0)
    text = fitted(cell.label, CELL_PX, at.width - STRIPE - 4)
    upper = at.y + at.height / 2 + 4
    if cell.share is not None:
        upper = at.y + 15
        yield label(middle, at.y + 29, f"{100 * cell.share:.1f} %", "percent", "middle")
    yield label(middle, upper, text, "cell-name", "middle")


def _pane(at: PaneAt) -> Shape:
    inner = drawn(at.layout)
    left = (at.width - at.layout.width) / 2
    shapes = [
        rectangle(0, 0, at.width, at.height, "ground", 6),
        label(8, 16, at.pane.label, "pane-name"),
        group(inner, "inside", x=left, y=26),
    ]
    return group(shapes, "pane", at.pane.title, at.x, at.y)


def _type(box: BoxAt) -> Shape:
    """The type below a box, beside the upright piece that all its wires begin with."""
    return label(box.middle + 8, box.bottom + 14, box.box.output, "type")
