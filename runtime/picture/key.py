"""The foot of a picture: a key to the signs that it uses, and notes on what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compiler.picture.marks import Marks
from compiler.picture.text import width
from compiler.picture.values import Box, Diagram
from compiler.picture.words import TIMES
from runtime.picture.shapes import Shape, circle, group, label, line, rectangle

MARGIN, LINE_HEIGHT = 24.0, 18.0
KEY_PX = 11.0
FAMILIES = {
    "w3": f"window 3{TIMES}3",
    "w5": f"5{TIMES}5",
    "w7": f"7{TIMES}7 and more",
    "w1": f"1{TIMES}1 or none",
    "pool": "pool",
    "skip": "computes nothing",
    "zero": "zero",
}
"""What the colours of candidates mean."""


def foot(
    key: Sequence[tuple[str, str]], notes: Sequence[str], size: float, y: float
) -> tuple[list[Shape], float]:
    """The key, and the notes below it; also where they end."""
    shapes: list[Shape] = [line(MARGIN, y, size - MARGIN, y, "rule")]
    x, y = MARGIN, y + LINE_HEIGHT + 4
    for sign, text in key:
        needed = 24 + width(text, KEY_PX) + 18
        if x + needed > size - MARGIN and x > MARGIN:
            x, y = MARGIN, y + LINE_HEIGHT
        shapes += [*_sign(sign, x, y), label(x + 24, y, text, "key")]
        x += needed
    for text in [row for note in notes for row in wrapped(note, size - 2 * MARGIN, KEY_PX)]:
        y += LINE_HEIGHT
        shapes.append(label(MARGIN, y, text, "note"))
    return shapes, y


def wrapped(text: str, limit: float, size: float) -> Iterator[str]:
    """The text in lines of at most `limit` pixels, at a font size."""
    row = ""
    for word in text.split():
        if row and width(f"{row} {word}", size) > limit:
            yield row
            row = word
        else:
            row = f"{row} {word}".strip()
    yield row


def key_of(diagram: Diagram, marks: Marks) -> Iterator[tuple[str, str]]:
    """The signs that the picture uses, with what they mean."""
    boxes = list(boxes_in(diagram))
    cells = [cell for box in boxes for row in box.rows for cell in row.cells]
    yield "operators", "operators"
    if cells:
        yield "decision", "decision between candidates"
    used = {cell.family for cell in cells}
    yield from ((family, text) for family, text in FAMILIES.items() if family in used)
    if any(box.residual for box in boxes):
        yield "plus", "adds what entered"
    if any(box.kind == "folded" for box in boxes):
        yield "folded", "folded"
    if marks.choices is not None and cells:
        yield "chosen", "chosen"
    if any(cell.share is not None for cell in cells):
        yield "share", "probability"


def boxes_in(diagram: Diagram) -> Iterator[Box]:
    """The boxes of a diagram with those in its panes."""
    for box in diagram.boxes:
        yield box
        for pane in box.panes:
            yield from boxes_in(pane.diagram)


def _sign(sign: str, x: float, y: float) -> list[Shape]:
    """A small one of what the picture shows, its baseline at `y`."""
    if sign == "plus":
        return [circle(x + 9, y - 4, 6.5, "plus"), label(x + 9, y, "+", "plus-sign", "middle")]
    if sign not in FAMILIES and sign not in ("chosen", "share"):
        return [group([rectangle(x, y - 10, 18, 12, "back", 3)], f"box {sign}")]
    inside = [rectangle(x, y - 10, 18, 12, "ground", 3)]
    if sign == "chosen":
        inside.append(rectangle(x, y - 10, 18, 12, "outline", 3))
    else:
        css, wide = ("share", 11) if sign == "share" else (f"stripe {sign}", 4)
        inside.append(rectangle(x, y - 10, wide, 12, css, 2))
    return [group(inside, f"cell {sign}")]
