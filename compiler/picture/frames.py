"""The inside of a box: where its words and cells stand, from the box's upper left corner, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.picture.text import ending, fitted, width
from compiler.picture.values import Box, Cell, Line, Row

LABEL_PX, CELL_PX, SMALL_PX = 12.0, 11.0, 10.0
"""The sizes of fonts: of a box's lines, of cells, of what stands aside."""
PADDING, CELL_GAP = 7.0, 4.0
LINE_HEIGHT, HEADER_HEIGHT = 16.0, 14.0
CELL_HEIGHT, SHARED_CELL_HEIGHT = 24.0, 36.0
CELL_LEAST, SHARED_CELL_LEAST, CELL_MOST, CELL_MARGIN = 34.0, 50.0, 170.0, 16.0
NAME_MOST, HEADER_MOST = 130.0, 170.0
LINE_MOST = 420.0


@dataclass(frozen=True)
class Words:
    """A text whose baseline starts at a point, its middle there if `middle`; `css` is its class."""

    x: float
    y: float
    text: str
    css: str
    title: str = ""
    middle: bool = False
    detail: str = ""


@dataclass(frozen=True)
class CellAt:
    """A cell and its rectangle."""

    cell: Cell
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Frame:
    """A box measured: what is in it, and its size."""

    width: float
    height: float
    words: tuple[Words, ...] = ()
    cells: tuple[CellAt, ...] = ()


@dataclass(frozen=True)
class Room:
    """How a box is to be set: the name to show, how many cells stand side by side, and widths it shares.

    `beside` puts the name to the left of a single row instead of above it; `name_width` and `cell_width` are
    those of all such boxes of the diagram, so that equal candidates stand in one column.
    """

    name: str
    columns: int = 8
    beside: bool = False
    name_width: float = 0.0
    cell_width: float = 0.0
    slots: int = 0


def frame(box: Box, room: Room) -> Frame:
    """The inside of a box."""
    if box.kind in ("terminal", "merge"):
        return _pill(box.lines)
    if len(box.rows) == 1 and not box.lines and not box.panes and room.beside:
        return _strip(box.rows[0], room)
    return _stack(box, room)


def _pill(lines: Sequence[Line]) -> Frame:
    """One line, the detail behind it."""
    size = max(_line_width(line) for line in lines) + 2 * PADDING + 6
    words = [Words(size / 2, 16, line.text, "line", line.title, True, line.detail) for line in lines]
    return Frame(size, 24, tuple(words))


def _line_width(line: Line) -> float:
    detail = width(f" {line.detail}", SMALL_PX) + 4 if line.detail else 0.0
    return min(width(line.text, LABEL_PX), LINE_MOST) + detail


def cell_width(cells: Sequence[Cell]) -> float:
    """The width that every cell of a row needs."""
    widest = max((width(cell.label, CELL_PX, bold=True) for cell in cells), default=0.0)
    least = SHARED_CELL_LEAST if any(cell.share is not None for cell in cells) else CELL_LEAST
    return min(max(widest + CELL_MARGIN, least), CELL_MOST)


def columns_of(cells: int, most: int) -> int:
    """How many cells stand side by side: all of them where they may, else lines of about equal length."""
    return max(1, -(-cells // -(-cells // most))) if cells else 1


def cell_height(cells: Sequence[Cell]) -> float:
    """The height of a row's cells: higher where probabilities stand in them."""
    return SHARED_CELL_HEIGHT if any(cell.share is not None for cell in cells) else CELL_HEIGHT


def name_width(name: str) -> float:
    """The room that a name beside a row takes."""
    return min(width(name, CELL_PX), NAME_MOST) + 8 if name else 0.0


def _strip(row: Row, room: Room) -> Frame:
    """The name, and the candidates to the right of it."""
    left = PADDING + room.name_width
    each, columns = room.cell_width, max(room.slots, 1)
    cells, bottom = _grid(row.cells, left, PADDING, each, columns)
    name = ending(room.name, CELL_PX, NAME_MOST)
    words = [Words(PADDING + 2, (PADDING + bottom) / 2 + 4, name, "name", row.title)] if name else []
    size = left + columns * (each + CELL_GAP) - CELL_GAP + PADDING
    return Frame(size, bottom + PADDING, tuple(words), cells)


def _grid(
    cells: Sequence[Cell], left: float, top: float, each: float, columns: int
) -> tuple[tuple[CellAt, ...], float]:
    """Cells in rows of `columns`; also where the last row ends."""
    height = cell_height(cells)
    placed = tuple(
        CellAt(cell, left + index % columns * (each + CELL_GAP), top + index // columns * (height + CELL_GAP),
               each, height) for index, cell in enumerate(cells))  # fmt: skip
    lines = -(-len(cells) // columns)
    return placed, top + lines * (height + CELL_GAP) - CELL_GAP


def _stack(box: Box, room: Room) -> Frame:
    """The name, the lines and the rows below each other."""
    words: list[Words] = []
    cells: list[CellAt] = []
    y, right = PADDING - 2, 0.0
    name = ending(room.name, SMALL_PX, HEADER_MOST)
    if name:
        words.append(Words(PADDING, y + 10, name, "place", _name_title(box)))
        y, right = y + HEADER_HEIGHT, PADDING + width(name, SMALL_PX)
    for line in box.lines:
        text = fitted(line.text, LABEL_PX, LINE_MOST)
        words.append(Words(PADDING, y + 12.5, text, "line", line.title, detail=line.detail))
        y, right = y + LINE_HEIGHT, max(right, PADDING + _line_width(line))
    aside = max((name_width(row.label) for row in box.rows), default=0.0)
    for row in box.rows:
        y += 2
        each, columns = cell_width(row.cells), columns_of(len(row.cells), room.columns)
        placed, bottom = _grid(row.cells, PADDING + aside, y, each, columns)
        if row.label:
            middle = y + cell_height(row.cells) / 2 + 4
            words.append(Words(PADDING, middle, ending(row.label, CELL_PX, NAME_MOST), "name", row.title))
        cells += placed
        y, right = bottom + 2, max(right, PADDING + aside + columns * (each + CELL_GAP) - CELL_GAP)
    return Frame(right + PADDING, y + PADDING - 2, tuple(words), tuple(cells))


def _name_title(box: Box) -> str:
    return box.rows[0].title if box.rows else box.title
