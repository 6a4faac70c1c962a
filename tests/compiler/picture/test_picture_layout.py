"""Every picture is readable: boxes apart, all inside, text within its box; on all the spaces there are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest

from compiler.architecture import sample
from compiler.frontend import space_of
from compiler.ir.graph import SpaceGraph
from compiler.passes.flatten import CannotFlatten, flatten
from compiler.picture.frames import CELL_PX, LABEL_PX, SMALL_PX, Words
from compiler.picture.layout import BoxAt, Layout
from compiler.picture.marks import Marks
from compiler.picture.space import picture_of
from compiler.picture.text import ending, fitted, width
from tests.compiler_spaces import SHIPPED, shipped, space
from tests.dsl.spaces import SPACES, load

SIZES = {"line": LABEL_PX, "place": SMALL_PX, "name": CELL_PX}
LONG = "a" * 47
ROUNDING = 1e-9


def pictured(graph: SpaceGraph, marked: bool = False) -> Layout:
    marks = Marks(next(sample(graph, 1, seed=1)).choices) if marked else Marks()
    try:
        return picture_of(flatten(graph), marks).layout
    except CannotFlatten:
        return picture_of(graph, marks).layout


def layouts(layout: Layout) -> Iterator[Layout]:
    yield layout
    for box in layout.boxes:
        for pane in box.panes:
            yield from layouts(pane.layout)


def hold(layout: Layout) -> None:
    for each in layouts(layout):
        for one, other in combinations(each.boxes, 2):
            assert not (
                one.x < other.x + other.width
                and other.x < one.x + one.width
                and one.y < other.bottom
                and other.y < one.bottom
            )
        for box in each.boxes:
            assert box.x >= -ROUNDING
            assert box.y >= -ROUNDING
            assert box.x + box.width <= each.width + 0.01
            assert box.bottom <= each.height + 0.01
            hold_inside(box)
        for wire in each.wires:
            assert all(y <= later for (_, y), (_, later) in zip(wire.points, wire.points[1:], strict=False))
            assert all(-0.01 <= x <= each.width + 0.01 for x, _ in wire.points)


def hold_inside(box: BoxAt) -> None:
    for cell in box.frame.cells:
        assert cell.x >= -ROUNDING
        assert cell.x + cell.width <= box.width
        assert cell.y + cell.height <= box.height
    for words in box.frame.words:
        assert right_of(words) <= box.width + 0.01
        assert 0 < words.y <= box.height
    for pane in box.panes:
        assert pane.x + pane.width <= box.width
        assert pane.y + pane.height <= box.height
        assert pane.layout.width <= pane.width


def right_of(words: Words) -> float:
    long = width(words.text, SIZES[words.css]) + (width(f" {words.detail}", SMALL_PX) if words.detail else 0)
    return words.x + (long / 2 if words.middle else long)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_spaces_are_readable(name: str) -> None:
    hold(pictured(shipped(name)))


@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize("name", SPACES)
def test_published_spaces_are_readable(name: str, marked: bool) -> None:
    graph = space_of(load(name))
    # Those that are too entangled take seconds to find that out.
    layout = picture_of(graph, Marks()).layout if name in ("darts", "path_tree") else pictured(graph, marked)
    hold(layout)


def test_long_names_are_shortened_to_fit() -> None:
    before = f"block {LONG}(out) {{ choose {{ {LONG}1: conv(out, 3) | {LONG}2: conv(out, 5) }} }}"
    layout = pictured(space(f"conv(4, 3) -> {LONG}(8) -> {LONG}(8) -> global_pool", before=before))
    hold(layout)
    assert layout.width < 900


def test_brackets_name_the_places_and_hold_their_boxes() -> None:
    layout = pictured(shipped("proxyless_mobile"))
    assert [bracket.name for bracket in layout.brackets] == [
        "mbconv", "stage", "stage2", "stage3", "stage4", "stage5", "stage6",
    ]  # fmt: skip
    assert all(
        above.bottom < below.top for above, below in zip(layout.brackets, layout.brackets[1:], strict=False)
    )
    inner = [bracket.title for bracket in pictured(shipped("mobilenet_v2")).brackets]
    assert {"stage2", "stage2.i1", "stage2.i3"} <= set(inner)


def test_candidates_of_equal_labels_stand_in_columns() -> None:
    strips = [box for box in pictured(shipped("proxyless_mobile")).boxes if box.box.kind == "decision"]
    for column in range(6):
        assert len({round(box.x + box.frame.cells[column].x, 3) for box in strips}) == 1


def test_text_is_shortened_where_it_tells_least() -> None:
    assert fitted("short", 12, 100) == "short"
    assert fitted("stage2.layer1.kernel", 12, 60) == "stag…rnel"
    assert ending("stage2.layer1.kernel", 12, 60) == "…kernel"
    assert width("…" + "m" * 4, 12) > width("iiiii", 12)
