"""What stands in the picture of a space: its boxes, decisions, wires, what is folded and what is marked."""

from __future__ import annotations

import pytest

from compiler.architecture import Architecture, validate
from compiler.frontend import space_of
from compiler.ir.graph import SpaceGraph
from compiler.passes.flatten import flatten
from compiler.picture.diagram import diagram_of
from compiler.picture.folding import Fold, folded
from compiler.picture.marks import Marks
from compiler.picture.space import BOXES_CAPS, INNER_BOXES_CAP, WIDTH_CAP, boxes_in, picture_of
from compiler.picture.units import units_of
from compiler.picture.values import Box, Diagram
from compiler.picture.words import TIMES
from tests.compiler_spaces import shipped, space
from tests.dsl.spaces import load

NESTED = """
    block deep(n) { choose { stop: identity | more: conv(4, 3) -> if n > 0 { deep(n - 1) } } }
"""


def drawn(graph: SpaceGraph, marks: Marks | None = None) -> Diagram:
    return picture_of(graph, marks or Marks()).diagram


def plain(text: str) -> str:
    return text.replace(TIMES, "x")


def decisions(diagram: Diagram) -> list[Box]:
    return [box for box in diagram.boxes if box.kind == "decision"]


def test_proxyless_is_a_chain_of_21_decisions() -> None:
    diagram = drawn(flatten(shipped("proxyless_mobile")))
    rows = [box.rows[0] for box in decisions(diagram)]
    assert [len(row.cells) for row in rows] == [6, *[7] * 3] * 5 + [6]
    assert [cell.label for cell in rows[1].cells][::3] == ["kernel 3, expand 3", "kernel 5, expand 6", "skip"]
    assert [cell.family for cell in rows[1].cells] == ["w3", "w3", "w5", "w5", "w7", "w7", "skip"]
    assert [box.residual for box in decisions(diagram)] == [len(row.cells) == 7 for row in rows]
    assert [(wire.source, wire.target) for wire in diagram.wires] == [(at, at + 1) for at in range(25)]


def test_a_tooltip_says_choices_operators_cost_and_line() -> None:
    cell = decisions(drawn(flatten(shipped("proxyless_mobile"))))[0].rows[0].cells[0]
    assert plain(cell.title).splitlines() == [
        "stage.i1.layer.mbconv: kernel=3 expand=3",
        "stage.i1.layer.mbconv.kernel = 3",
        "stage.i1.layer.mbconv.expand = 3",
        "conv 1x1, 48 → bn → relu6 → depthwise 3x3 s2 → bn → relu6 → conv 1x1, 24 → bn",
        "14,601,216 MACs, 2,592 parameters",
        "line 4 of proxyless_mobile.space",
    ]


def test_operators_of_one_place_share_a_box_up_to_a_merge() -> None:
    body = "conv(8, 3, stride = 2) -> bn -> relu6 -> residual { conv(8, 1) -> bn } -> relu -> global_pool"
    diagram = drawn(space(body))
    assert [(box.kind, [plain(line.text) for line in box.lines]) for box in diagram.boxes] == [
        ("terminal", ["input"]),
        ("operators", ["conv 3x3 s2, 8"]),
        ("operators", ["conv 1x1, 8"]),
        ("merge", ["add"]),
        ("operators", ["global pool", "linear, 10"]),
        ("terminal", ["output"]),
    ]
    assert diagram.boxes[1].lines[0].detail == "bn relu6"
    assert [plain(box.output) for box in diagram.boxes] == ["", "8 x 4 x 4", "", "", "10", ""]


def test_decisions_of_many_candidates_are_drawn_by_their_options() -> None:
    body = "conv(choose(4, 8, 12), choose(3, 5, 7)) -> conv(4, choose(1, 3)) -> global_pool"
    (box,) = decisions(drawn(flatten(space(body))))
    assert [[cell.label for cell in row.cells] for row in box.rows] == [
        ["4", "8", "12"],
        ["3", "5", "7"],
        ["1", "3"],
    ]


def test_of_very_many_options_and_decisions_the_first_are_drawn() -> None:
    graph = space("conv(choose(1..100), 3) -> conv(choose(1..9), 3) -> conv(4, 3) -> global_pool")
    found = picture_of(graph, Marks())
    row = next(box.rows[0] for box in found.diagram.boxes if box.rows)
    assert [cell.label for cell in row.cells[-2:]] == ["15", "85 more"]
    deep = picture_of(flatten(space("conv(4, 3) -> deep(40) -> global_pool", before=NESTED)), Marks())
    (box,) = decisions(deep.diagram)
    assert len(box.rows) == 25
    assert box.rows[-1].cells[0].label == "17 more decisions"


def test_a_tied_decision_is_drawn_once_and_its_equal_cells_are_folded() -> None:
    diagram = drawn(flatten(space_of(load("nas_bench_201"))))
    full = [box for box in decisions(diagram) if box.rows]
    assert len(full) == 6
    assert len(decisions(diagram)) == 18
    folds = [box for box in diagram.boxes if box.kind == "folded"]
    assert [[line.text for line in box.lines] for box in folds] == [["4 more times", "the 6 boxes above"]] * 3


def test_candidates_picked_together_are_marked_together() -> None:
    graph = space_of(load("darts"))
    (box,) = [box for box in drawn(graph).boxes if box.rows and box.rows[0].label == "n2"][:1]
    assert [line.text for line in box.lines] == ["add of those chosen"]
    assert [row.label for row in box.rows] == ["n2", "s0", "s1", "n1"]
    choices = {"normal.nodes.n2": ("s0", "n1"), "normal.nodes.n2.s0.op.path": "sep_conv_3x3"}
    marked = next(box for box in drawn(graph, Marks(choices)).boxes if box.rows and box.rows[0].label == "n2")
    assert [cell.state for cell in marked.rows[0].cells] == ["chosen", "pale", "chosen"]
    assert [cell.label for cell in marked.rows[1].cells if cell.state == "chosen"] == ["sep_conv_3x3"]
    assert {cell.state for cell in marked.rows[2].cells} == {"pale"}


def test_what_is_not_read_by_the_chosen_candidates_comes_on_a_pale_wire() -> None:
    body = "a = conv(4, 1)\nadd(a, a -> choose { one: conv(4, 3) | none: zero }) -> global_pool"
    graph = space(
        "a = conv(4, 1)\nb = a -> conv(4, 3)\nchoose { one: a -> conv(4, 3) | two: b } -> global_pool"
    )
    assert drawn(space(body)).wires
    marked = drawn(graph, Marks({"path": "one"}))
    pale = [wire for wire in marked.wires if wire.pale]
    assert [plain(marked.boxes[wire.source].lines[0].text) for wire in pale] == ["conv 3x3, 4"]


def test_nested_decisions_open_as_deep_as_they_stay_few() -> None:
    shallow = drawn(space("conv(4, 3) -> deep(3) -> global_pool", before=NESTED))
    (box,) = decisions(shallow)
    assert [pane.label for pane in box.panes] == ["more"]
    assert boxes_in(shallow) > len(shallow.boxes) + 9
    tree = picture_of(space_of(load("path_tree")), Marks())
    assert boxes_in(tree.diagram) - len(tree.diagram.boxes) <= INNER_BOXES_CAP
    assert any("folded" in note for note in tree.notes)


def test_the_picture_of_an_architecture_opens_only_what_it_takes() -> None:
    graph = space("conv(4, 3) -> deep(1) -> global_pool", before=NESTED)
    choices = validate(graph, Architecture("it", {"deep.path": "stop"})).choices
    assert decisions(drawn(graph, Marks(choices)))[0].panes == ()


def test_decisions_without_effect_are_named() -> None:
    graph = space("x = choose(1, 2)\nconv(4, 3) -> if x > 0 { bn } -> global_pool")
    (note,) = picture_of(flatten(graph), Marks()).notes
    assert "without effect" in note
    assert "x" in note


@pytest.mark.parametrize("layers", [30, 300])
def test_long_spaces_are_folded_in_the_middle(layers: int) -> None:
    graph = space(f"conv(4, 3) -> repeat {layers} as i {{ conv(4, choose(3, 5)) -> relu }} -> global_pool")
    cap = BOXES_CAPS[0]
    items = folded(units_of(graph.graph), cap)
    assert len(items) <= cap + 1
    assert any(isinstance(item, Fold) for item in items) == (layers > cap)
    kept = [node.name for item in items for node in item.nodes]
    assert kept == [node.name for node in graph.graph.nodes]


def test_wide_spaces_are_folded_until_they_fit() -> None:
    branches = " | ".join(f"conv(8, {1 + 2 * (at * at % 7 % 3)}) -> relu" for at in range(200))
    picture = picture_of(space(f"add {{ {branches} }} -> global_pool"), Marks())
    assert picture.layout.width <= WIDTH_CAP
    assert any("too wide" in note for note in picture.notes)


def test_fixed_repetition_is_folded_where_there_is_much_of_it() -> None:
    body = "conv(4, 3) -> repeat {} as i {{ residual {{ conv(4, 3) -> bn }} }} -> global_pool"
    assert not any(isinstance(item, Fold) for item in folded(units_of(space(body.format(8)).graph), 160))
    (fold,) = [i for i in folded(units_of(space(body.format(80)).graph), 160) if isinstance(i, Fold)]
    assert (fold.again, fold.times) == (2, 79)


def test_levels_are_what_they_are_asked_to_be() -> None:
    graph = space("conv(4, 3) -> deep(3) -> global_pool", before=NESTED)
    closed, notes = diagram_of(graph, Marks(), 0, 160)
    assert not any(box.panes for box in closed.boxes)
    assert notes
