"""Where everything of a diagram stands, in pixels: boxes, wires, and the brackets of the file's places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from compiler.picture.brackets import Bracket, brackets_of, names_of
from compiler.picture.frames import CELL_PX, Frame, Room, cell_width, columns_of, frame, name_width
from compiler.picture.layers import Layered, horizontal, layered
from compiler.picture.text import width
from compiler.picture.values import Box, Diagram, Pane, Wire

COLUMNS = 10
"""Cells side by side in a box that stands alone in its rank; boxes beside each other share them."""
SIDE_GAP, JOINT_WIDTH = 22.0, 10.0
RANK_GAP, CROWDED_GAP, LABELLED_GAP, STUB = 18.0, 26.0, 30.0, 17.0
PANE_GAP, PANE_HEADER, PANE_PADDING = 8.0, 18.0, 8.0
PANES_WIDE = 1600.0
"""The width from which on panes go on below."""
RESIDUAL_WIDTH = 26.0
MARGIN_STEP = 7.0


@dataclass(frozen=True)
class PaneAt:
    """A pane, its place in its box, and what is in it."""

    pane: Pane
    x: float
    y: float
    width: float
    height: float
    layout: Layout


@dataclass(frozen=True)
class BoxAt:
    """A box, its place in the diagram, and its inside."""

    box: Box
    x: float
    y: float
    width: float
    height: float
    frame: Frame
    panes: tuple[PaneAt, ...]

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(frozen=True)
class WireAt:
    """A wire as the points it goes through: pairs of the same x are its straight, upright stretches."""

    wire: Wire
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Layout:
    """A diagram laid out; all coordinates are from its upper left corner."""

    width: float
    height: float
    boxes: tuple[BoxAt, ...]
    wires: tuple[WireAt, ...]
    brackets: tuple[Bracket, ...]


def lay_out(diagram: Diagram, bracketed: bool = True) -> Layout:
    """The layout of a diagram, from top to bottom; `bracketed` puts the names of places on its left."""
    graph = layered(len(diagram.boxes), [(wire.source, wire.target) for wire in diagram.wires])
    names, prefixes = names_of(diagram.boxes, graph.rank[: graph.boxes], bracketed)
    frames = _frames(diagram.boxes, graph, names)
    panes = [_panes(box, inside) for box, inside in zip(diagram.boxes, frames, strict=True)]
    sizes = [_size(inside, within) for inside, within in zip(frames, panes, strict=True)]
    joints = len(graph.rank) - graph.boxes
    widths = [*[_reach(box, size[0]) for box, size in zip(diagram.boxes, sizes, strict=True)],
              *[JOINT_WIDTH] * joints]  # fmt: skip
    middles = horizontal(graph, widths, SIDE_GAP)
    left = min(at - each / 2 for at, each in zip(middles, widths, strict=True))
    middles = [at - left for at in middles]
    tops, height = _tops(diagram.boxes, graph, [size[1] for size in sizes])
    boxes = [
        BoxAt(box, middles[at] - sizes[at][0] / 2, tops[graph.rank[at]], *sizes[at], frames[at], panes[at])
        for at, box in enumerate(diagram.boxes)
    ]
    extents = _extents(graph, tops, boxes)
    wires = _routes(diagram.wires, graph, middles, boxes, extents)
    brackets, gutter = brackets_of(prefixes, [(box.y, box.bottom) for box in boxes])
    return _shifted(boxes, wires, brackets, gutter, height)


def _reach(box: Box, size: float) -> float:
    """The width that a box keeps free around its middle."""
    return size + 2 * RESIDUAL_WIDTH if box.residual else size


def _frames(boxes: Sequence[Box], graph: Layered, names: Sequence[str]) -> list[Frame]:
    """The inside of each box; strips that stand alone in their rank share their columns."""
    crowd = [sum(at < graph.boxes for at in rank) for rank in graph.ranks]
    alone = [at for at, box in enumerate(boxes)
             if len(box.rows) == 1 and not box.lines and not box.panes and crowd[graph.rank[at]] == 1]  # fmt: skip
    shared = max((cell_width(boxes[at].rows[0].cells) for at in alone), default=0.0)
    aside = max((name_width(names[at]) for at in alone), default=0.0)
    slots = max((columns_of(len(boxes[at].rows[0].cells), COLUMNS) for at in alone), default=1)
    strips = set(alone)
    result = []
    for at, box in enumerate(boxes):
        columns = COLUMNS if crowd[graph.rank[at]] <= 1 else max(2, COLUMNS // crowd[graph.rank[at]])
        room = Room(names[at], columns, at in strips, aside, shared, slots)
        result.append(frame(box, room))
    return result


def _panes(box: Box, inside: Frame) -> tuple[PaneAt, ...]:
    """The panes of a box side by side below its own inside, on several lines where they are too wide."""
    x, y, tallest = PANE_PADDING, inside.height, 0.0
    placed: list[PaneAt] = []
    for pane in box.panes:
        layout = lay_out(pane.diagram, bracketed=False)
        title = width(pane.label, CELL_PX, bold=True)
        size = (max(layout.width, title) + 2 * PANE_PADDING, layout.height + PANE_HEADER + 2 * PANE_PADDING)
        if placed and x + size[0] > PANES_WIDE:
            x, y, tallest = PANE_PADDING, y + tallest + PANE_GAP, 0.0
        placed.append(PaneAt(pane, x, y, *size, layout))
        x, tallest = x + size[0] + PANE_GAP, max(tallest, size[1])
    return tuple(placed)


def _size(inside: Frame, panes: Sequence[PaneAt]) -> tuple[float, float]:
    right = max((pane.x + pane.width for pane in panes), default=0.0) + PANE_PADDING
    bottom = max((pane.y + pane.height for pane in panes), default=0.0) + PANE_PADDING
    return (max(inside.width, right), max(inside.height, bottom)) if panes else (inside.width, inside.height)


def _tops(boxes: Sequence[Box], graph: Layered, heights: Sequence[float]) -> tuple[list[float], float]:
    """Where each rank begins, and where the last one ends."""
    tall = [max((heights[at] for at in rank if at < graph.boxes), default=0.0) for rank in graph.ranks]
    gaps = [_gap(boxes, graph, at) for at in range(len(graph.ranks))]
    tops = list(accumulate((a + b for a, b in zip(tall, gaps, strict=True)), initial=0.0))
    return tops[:-1], tops[-1] - gaps[-1]


def _gap(boxes: Sequence[Box], graph: Layered, at: int) -> float:
    """The room below a rank: for the types on its wires, and for wires that go sideways."""
    labelled = any(boxes[each].output for each in graph.ranks[at] if each < graph.boxes)
    if max(len(rank) for rank in graph.ranks[at : at + 2]) > 1:
        return CROWDED_GAP + (STUB if labelled else 0.0)
    return LABELLED_GAP if labelled else RANK_GAP


def _extents(graph: Layered, tops: Sequence[float], boxes: Sequence[BoxAt]) -> list[tuple[float, float]]:
    """From where to where each rank reaches down the page."""
    return [
        (tops[at], max((boxes[each].bottom for each in rank if each < graph.boxes), default=tops[at]))
        for at, rank in enumerate(graph.ranks)
    ]


def _routes(
    wires: Sequence[Wire],
    graph: Layered,
    middles: Sequence[float],
    boxes: Sequence[BoxAt],
    extents: Sequence[tuple[float, float]],
) -> list[WireAt]:
    margin = max(box.x + box.width for box in boxes) + SIDE_GAP
    routed = []
    for wire, path in zip(wires, graph.paths, strict=True):
        source, target = boxes[wire.source], boxes[wire.target]
        between = [(middles[at], *extents[graph.rank[at]]) for at in path[1:-1]]
        if not between and graph.rank[wire.target] - graph.rank[wire.source] > 1:
            between = [(margin, source.bottom + MARGIN_STEP, target.y - MARGIN_STEP)]
        points = [(source.middle, source.bottom)]
        if source.box.output:
            points.append((source.middle, source.bottom + STUB))
        for x, top, bottom in between:
            points += [(x, top), (x, bottom)]
        points.append((_entry(target, points[-1][0]), target.y))
        routed.append(WireAt(wire, tuple(points)))
    return routed


def _entry(box: BoxAt, x: float) -> float:
    """Where a wire that comes from `x` enters a box: as straight as the box is wide."""
    room = max(0.0, box.width / 2 - 12)
    return min(max(x, box.middle - room), box.middle + room)


def _shifted(
    boxes: Sequence[BoxAt],
    wires: Sequence[WireAt],
    brackets: Sequence[Bracket],
    gutter: float,
    height: float,
) -> Layout:
    """Everything to the right of the gutter; the width takes in what stands beside the boxes."""
    moved = tuple(BoxAt(b.box, b.x + gutter, b.y, b.width, b.height, b.frame, b.panes) for b in boxes)
    routes = tuple(WireAt(w.wire, tuple((x + gutter, y) for x, y in w.points)) for w in wires)
    return Layout(max(_rights(moved, routes)), height, moved, routes, tuple(brackets))


def _rights(boxes: Sequence[BoxAt], wires: Sequence[WireAt]) -> Iterator[float]:
    for box in boxes:
        yield box.x + box.width + (RESIDUAL_WIDTH if box.box.residual else 0.0)
        if box.box.output:
            yield box.middle + 8 + width(box.box.output, CELL_PX)
    for wire in wires:
        yield max(x for x, _ in wire.points) + 2
