"""The picture of a space: as deep as it stays readable, and laid out."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.ir.graph import SpaceGraph
from compiler.picture.diagram import diagram_of
from compiler.picture.folding import paths_read
from compiler.picture.layout import Layout, lay_out
from compiler.picture.marks import Marks
from compiler.picture.values import Diagram

LEVELS = 8
"""How deep decisions inside candidates may be drawn as pictures of their own."""
BOXES_CAPS = (160, 80, 40, 20)
"""The most boxes of a picture, and what they are reduced to by turns where it is too wide."""
INNER_BOXES_CAP, WIDTH_CAP = 120, 2700.0
"""The most boxes inside of others, and the width in pixels, beyond which a picture is not opened deeper."""
NAMES_SHOWN = 5


@dataclass(frozen=True)
class SpacePicture:
    """A diagram, where everything of it stands, and notes on what it leaves out."""

    diagram: Diagram
    layout: Layout
    notes: tuple[str, ...]


def picture_of(space: SpaceGraph, marks: Marks) -> SpacePicture:
    """The picture of a space, flattened or not; bounded, whatever the space."""
    for cap in BOXES_CAPS:
        best = _opened(space, marks, 0, cap)
        if best.layout.width <= WIDTH_CAP:
            break
    for levels in range(1, LEVELS + 1):
        deeper = _opened(space, marks, levels, cap)
        inner = boxes_in(deeper.diagram) - len(deeper.diagram.boxes)
        if deeper.diagram == best.diagram or inner > INNER_BOXES_CAP or deeper.layout.width > WIDTH_CAP:
            break
        best = deeper
    return SpacePicture(best.diagram, best.layout, (*best.notes, *_without_effect(space)))


def _opened(space: SpaceGraph, marks: Marks, levels: int, cap: int) -> SpacePicture:
    diagram, notes = diagram_of(space, marks, levels, cap)
    return SpacePicture(diagram, lay_out(diagram), notes)


def boxes_in(diagram: Diagram) -> int:
    """The boxes of a diagram with those in its panes."""
    return sum(1 + sum(boxes_in(pane.diagram) for pane in box.panes) for box in diagram.boxes)


def _without_effect(space: SpaceGraph) -> list[str]:
    """A note on the decisions that nothing depends on: they stand in no box."""
    read = paths_read(node for _, node in space.walk())
    idle = [decision.path for decision in space.decisions if decision.path not in read]
    if not idle:
        return []
    some = ", ".join(idle[:NAMES_SHOWN]) + (
        f" and {len(idle) - NAMES_SHOWN:,} more" if idle[NAMES_SHOWN:] else ""
    )
    return [f"Decisions without effect on the network are not drawn: {some}."]
