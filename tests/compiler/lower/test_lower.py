"""Lowering: what each rule of the language makes, and the diagnostic that each mistake gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.cost import cost
from compiler.derive import derive
from compiler.frontend import analyse
from compiler.ir.graph import decisions_of
from dsl.source import Source
from tests.compiler_spaces import codes, shipped, space, written

BLOCK = "block b(out, k = 3) { conv(out, k) -> bn }"


def paths(body: str, before: str = "") -> list[str]:
    return [decision.path for decision in decisions_of(space(body, before=before).graph)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("conv(choose(4, 8), 1) -> global_pool", ["out"]),
        ("conv(choose(4, 8), 1) -> conv(choose(4, 8), 1) -> global_pool", ["out", "out2"]),
        ("w = choose(4, 8)\nconv(w, 1) -> global_pool", ["w"]),
        ("b(4, choose(1, 3)) -> b(4, k = choose(1, 3)) -> global_pool", ["k", "k2"]),
        ("b(4, choose(1, 3) as window) -> global_pool", ["window"]),
        ("repeat 2 as layer { b(4, choose(1, 3)) } -> global_pool", ["layer1.k", "layer2.k"]),
        ("repeat choose(1, 2) as layer { relu } -> global_pool", ["depth"]),
        ("choose { b(3, choose(1, 3)) | b(3, 5) } -> global_pool", ["path", "b.k"]),
        ("choose { a: relu | c: relu6 } as act -> global_pool", ["act"]),
    ],
)
def test_decisions_are_named_for_their_place(body: str, expected: list[str]) -> None:
    assert paths(body, BLOCK) == expected


def test_a_default_belongs_to_the_callee() -> None:
    before = "block b(k = choose(1, 3)) { conv(in.channels, k) }"
    assert paths("b -> b -> global_pool", before) == ["b.k", "b2.k"]


def test_labels_repeat_with_a_number() -> None:
    graph = space("choose { b(3, 1) | b(3, 3) } -> global_pool", before=BLOCK)
    assert next(iter(decisions_of(graph.graph))).options == ("b", "b#2")


def test_proxyless_layers_without_a_skip_have_no_path_decision() -> None:
    decisions = [d.path for d in decisions_of(shipped("proxyless_mobile").graph) if d.kind == "path"]
    assert len(decisions) == 15
    assert "stage.i1.layer.path" not in decisions


def test_arithmetic_is_exact() -> None:
    graph = space("conv(216 * 3.5, 1) -> conv(divisible(50 * 1.4, 8), 1) -> conv(7 // 2, 1) -> global_pool")
    widths = [node.type.channels for node in graph.graph.nodes if node.op == "conv"]
    assert widths == [756, 72, 3]


def test_activations_may_be_chosen_and_passed() -> None:
    before = "block b(act) { conv(4, 3) -> act }"
    assert space("b(hswish) -> b(choose(relu, relu6)) -> global_pool", before=before).decisions[
        0
    ].options == (
        "relu",
        "relu6",
    )


def test_recursion_is_bounded_by_constant_conditions() -> None:
    before = "block deep(n) { conv(4, 3) -> if n > 1 { deep(n - 1) } }"
    graph = space("deep(5) -> global_pool", before=before)
    assert sum(node.op == "conv" for node in graph.graph.nodes) == 5


def test_branches_merge() -> None:
    graph = space("add { conv(4, 1) | conv(4, 3) } -> concat { a: relu | c: identity } -> global_pool")
    assert next(node for node in graph.graph.nodes if node.op == "global_pool").type.sizes == (8,)


def test_an_elastic_width_reaches_the_next_layer() -> None:
    graph = space("x = conv(choose(4, 8) as out, 1)\nx -> conv(x.channels * 2, 1) -> global_pool")
    small, large = (cost(derive(graph, {"out": out})).params for out in (4, 8))
    assert (small, large) == (3 * 4 + 4 * 8 + 8 * 10 + 10, 3 * 8 + 8 * 16 + 16 * 10 + 10)


MISTAKES = {
    "unequal widths": ("add { conv(4, 1) | conv(8, 1) } -> global_pool", "E0320"),
    "unequal candidates": ("choose { a: conv(4, 1) | c: conv(8, 1) } -> global_pool", "E0321"),
    "widths that differ under one assignment": (
        "w = choose(4, 8)\nx = conv(w, 1)\nadd(x, x -> conv(4, 1)) -> global_pool",
        "E0320",
    ),
    "a skip that changes the type": ("residual { conv(4, 1, stride = 2) } -> global_pool", "E0320"),
    "linear on an image": ("conv(4, 1) -> linear(10)", "E0320"),
    "an even kernel without padding": ("conv(4, 2) -> global_pool", "E0320"),
    "a kernel that does not fit": ("conv(4, 21, padding = 0) -> global_pool", "E0320"),
    "a fraction of a channel": ("conv(7 / 2, 1) -> global_pool", "E0304"),
    "a negative width": ("conv(0 - 4, 1) -> global_pool", "E0304"),
    "division by zero": ("conv(4 / 0, 1) -> global_pool", "E0301"),
    "a huge number": (
        "conv(10000000000 * 10000000000 * 10000000000 * 10000000000, 1) -> global_pool",
        "E0301",
    ),
    "a huge repeat": ("repeat 1000000000 { relu } -> global_pool", "E0304"),
    "nested repeats": ("repeat 9999 { repeat 9999 { relu } } -> global_pool", "E0313"),
    "an option twice": ("conv(choose(4, 4), 1) -> global_pool", "E0308"),
    "options of two kinds": ("conv(choose(4, true), 1) -> global_pool", "E0308"),
    "a range that misses its end": ("conv(choose(4..9 step 2), 1) -> global_pool", "E0306"),
    "too many options": ("conv(choose(1..5000), 1) -> global_pool", "E0307"),
    "a condition that is a number": ("if 3 { relu } -> global_pool", "E0311"),
    "height of a vector": ("x = relu -> global_pool\nx -> linear(x.height)", "E0310"),
    "a candidate under a decision": (
        "k = choose(1, 3)\nchoose { a: relu when k == 1 | c: relu6 } -> conv(3, k)",
        "E0303",
    ),
    "no candidate stands": ("choose { a: relu when 1 == 2 } -> global_pool", "E0316"),
    "a doubling recursion": ("double(40) -> global_pool", "E0313"),
    "a choosing recursion": ("choosing(30) -> global_pool", "E0313"),
    "repeats of nothing": ("repeat 10000 { repeat 10000 { if 1 > 2 { relu } } } -> global_pool", "E0313"),
}


RECURSION = """
block double(n) { if n > 0 { double(n - 1) -> double(n - 1) } }
block choosing(n) { if n > 0 { choose { x: choosing(n - 1) | y: choosing(n - 1) } } }
"""


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_has_one_diagnostic(name: str) -> None:
    body, code = MISTAKES[name]
    assert [found for found, _, _ in codes(written(body, before=RECURSION))] == [code]


def test_a_mistake_in_a_block_is_said_once_with_its_calls() -> None:
    before = "block b(out) {\n    conv(out, 2)\n}"
    _, found = analyse(Source("t", written("b(4) -> b(8) -> global_pool", before=before)))
    assert [(each.code, each.span.line) for each in found] == [("E0320", 2)]
    assert [note.message for note in found[0].notes] == ["in this call of `b`"]


def test_several_mistakes_are_told_in_one_run() -> None:
    body = "x = conv(4, 2)\ny = conv(4 / 0, 1)\nadd(x, y) -> nonsense -> global_pool"
    assert [(code, line) for code, line, _ in codes(written(body))] == [
        ("E0320", 5),
        ("E0301", 6),
        ("E0101", 7),
    ]


def test_unbounded_recursion_is_told() -> None:
    before = "block loop { conv(3, 1) -> loop }"
    assert [code for code, _, _ in codes(written("loop -> global_pool", before=before))] == ["E0314"]


def test_an_output_that_differs() -> None:
    text = written("conv(4, 1) -> global_pool -> linear(11)")
    assert [code for code, _, _ in codes(text)] == ["E0323"]


def test_recursion_without_end_under_conditions_is_told() -> None:
    before = "block a(n) { if n > 0 { a(n + 1) } else { relu } }"
    assert [code for code, _, _ in codes(written("a(1) -> global_pool", before=before))] == ["E0314"]


def test_a_file_uses_blocks_of_another(tmp_path: Path) -> None:
    (tmp_path / "blocks.space").write_text("block b(out) { conv(out, 3) -> bn }\n")
    (tmp_path / "wrong.space").write_text("block b(out) { conv(out, 2) -> bn }\n")
    body = 'use "NAME.space" as lib\n' + written("lib.b(4) -> global_pool")
    main = tmp_path / "main.space"
    _, found = analyse(Source(str(main), body.replace("NAME", "blocks")))
    assert found == []
    _, found = analyse(Source(str(main), body.replace("NAME", "wrong")))
    assert [(each.code, Path(each.span.source.name).name) for each in found] == [("E0320", "wrong.space")]
    _, found = analyse(Source(str(main), body.replace("NAME", "absent")))
    assert len(found) == 1


def test_in_of_an_argument_is_that_of_the_braces_around_it() -> None:
    """Not the value that reaches the step: rule 3."""
    graph = space("conv(2, 1) -> conv(in.channels * 5, 1) -> global_pool", "[8, 8, 8]")
    assert [node.type.channels for node in graph.graph.nodes if node.op == "conv"] == [2, 40]
    merged = space("conv(2, 1) -> concat(in, conv(4, 1)) -> global_pool", "[8, 8, 8]")
    assert [node.type.channels for node in merged.graph.nodes if node.op == "concat"] == [12]
    nested = space(
        "conv(2, 1) -> if in.channels == 8 { conv(in.channels, 1) -> conv(7, 1) } -> global_pool", "[8, 8, 8]"
    )
    assert [node.type.channels for node in nested.graph.nodes if node.op == "conv"] == [2, 2, 7]


def test_in_of_a_default_is_what_enters_the_block() -> None:
    graph = space(
        "conv(2, 1) -> b -> global_pool", "[8, 8, 8]", "block b(width = in.channels) { conv(width * 3, 1) }"
    )
    assert [node.type.channels for node in graph.graph.nodes if node.op == "conv"] == [2, 6]


def test_a_constant_holds_no_decision() -> None:
    assert [
        code for code, _, _ in codes(written("conv(3, w) -> global_pool", before="w = 2 * choose(1, 3)"))
    ] == ["E0303"]
