"""What the rules of docs/language.md make: ties, subsets, sets, inputs, conditional decisions, the prelude."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.architecture import every
from compiler.cost import cost
from compiler.counting import Counter
from compiler.derive import derive
from compiler.frontend import space_of
from compiler.ir.verify import verify_space
from compiler.passes.flatten import flatten
from dsl.source import Source
from tests.compiler_spaces import codes, shipped, space, written

OP = "block op { choose { relu | hswish } }\n"
EDGE = "tied block edge { choose { relu | hswish } }\n"

SIZES = {
    "instances of a tied block decide once": ("edge -> edge -> edge -> global_pool", EDGE, 2),
    "a block without ties decides each time": ("op -> op -> op -> global_pool", OP, 8),
    "a tied decision exists if any instance is reached": (
        "choose { a: conv(3, 3) -> edge | b: conv(3, 1) | c: edge -> edge } -> global_pool",
        EDGE,
        2 + 1 + 2,
    ),
    "a tie in two candidates is one decision when both stand side by side": (
        "x = choose { a: edge | b: bn }\ny = choose { a: edge | b: bn }\nadd(x, y) -> global_pool",
        EDGE,
        2 + 2 + 2 + 1,
    ),
    "arguments of a tied block are the caller's": (
        "layer(choose(1, 3)) -> layer(choose(1, 3)) -> global_pool",
        "tied block layer(k) { conv(in.channels, k) -> choose { relu | hswish } }",
        2 * 2 * 2,
    ),
    "what a tied block calls is tied": (
        "cell -> cell -> global_pool",
        OP + "tied block cell { op -> op }",
        4,
    ),
    "the innermost tied block owns a decision": (
        "outer -> edge -> outer -> global_pool",
        EDGE + "tied block outer { edge -> choose { bn | identity } }",
        2 * 2,
    ),
    "iterations of a tied repeat share": ("tied repeat 4 { conv(3, choose(1, 3)) } -> global_pool", "", 2),
    "a tied repeat decides anew where it stands again": (
        "both -> both -> global_pool",
        "block both { tied repeat 2 { conv(3, choose(1, 3)) } }",
        4,
    ),
    "a tied repeat of elastic depth": (
        "tied repeat choose(1, 2) { conv(3, choose(1, 3)) } -> global_pool",
        "",
        4,
    ),
    "two of three, and what is below them": (
        "add choose 2 of { a: op | b: op | c: bn } -> global_pool",
        OP,
        2 * 2 + 2 + 2,
    ),
    "one or two, concatenated": (
        "concat choose 1..2 of { a: op | b: bn } -> conv(3, 1) -> global_pool",
        OP,
        2 + 1 + 2,
    ),
    "all of them is no decision": ("add choose 2 of { relu | bn } -> global_pool", "", 1),
    "a set": (
        "s = choose 0..2 of (1..3)\nconv(if s contains 2 then 4 else 8, 1) -> global_pool",
        "",
        1 + 3 + 3,
    ),
    "a decision in an arm exists with the arm": (
        "c = choose(true, false)\nconv(if c then choose(4, 5, 6) else 8, 1) -> global_pool",
        "",
        3 + 1,
    ),
    "a decision in an arm of an arm": (
        "c = choose(1, 2, 3)\n"
        "conv(if c == 1 then choose(4, 5) else if c == 2 then choose(6, 7, 8) else 9, 1) -> global_pool",
        "",
        2 + 3 + 1,
    ),
    "an iteration above the count has no decisions": (
        "s = choose 1 of (1..3)\n"
        "repeat choose(1..3) as i { conv(3, if s contains i then choose(1, 3) else 1) } -> global_pool",
        "",
        (2 + 1 + 1) + (2 + 2 + 1) + (2 + 2 + 2),
    ),
    "recursion ends at a constant": (
        "tree(2) -> global_pool",
        "block tree(d) { if d > 0 { choose { leaf: identity | split: add { tree(d - 1) | tree(d - 1) } } } }",
        1 + 2 * 2,
    ),
}


@pytest.mark.parametrize("rule", SIZES)
def test_rules_of_existence(rule: str) -> None:
    body, before, size = SIZES[rule]
    counter = Counter(verify_space(space(body, before=before)))
    assert counter.size() == size == len(list(counter.iterate()))


NAMES = {
    "a tied block names its decisions wherever it is called": (
        "repeat 2 as i { cell } -> global_pool",
        OP + "tied block cell { a = in -> op  add(a, a -> op) }",
        ["cell.a.op.path", "cell.op.path"],
    ),
    "a tied repeat has no numbers": (
        "tied repeat 3 as layer { conv(3, choose(1, 3)) } -> global_pool",
        "",
        ["layer.kernel"],
    ),
    "a bound name is a place, and names the decision bound to it": (
        "x = choose { a: conv(3, choose(1, 3)) | b: bn }\nx -> global_pool",
        "",
        ["x", "x.a.kernel"],
    ),
    "picked branches go by their tensors": (
        "x = in -> relu\ny = add choose 1..2 of { x -> op | in -> op }\ny -> global_pool",
        OP,
        ["y", "y.x.op.path", "y.in.op.path"],
    ),
    "`as` names a subset": ("add choose 1 of { relu | bn } as pick -> global_pool", "", ["pick"]),
}


@pytest.mark.parametrize("rule", NAMES)
def test_names(rule: str) -> None:
    body, before, names = NAMES[rule]
    assert [decision.path for decision in space(body, before=before).decisions] == names


def test_a_merge_holds_what_is_picked_and_nothing_else() -> None:
    graph = space(
        "concat choose 1..2 of { a: conv(4, 1) | b: conv(8, 1) } as pick -> conv(6, 1) -> global_pool"
    )
    for picked, channels in ((("a",), 4), (("b",), 8), (("a", "b"), 12)):
        network = derive(graph, {"pick": picked})
        assert [n.type.sizes[0] for n in network.graph.nodes if n.op in ("conv", "concat")][-2] == channels
        assert cost(network).params == 3 * channels + 6 * channels + 70


TWO = "space two {{ input a [3, 8, 8]  input b [1, 8, 8]  output [10]  {} }}"


def test_inputs_with_names_start_pipes() -> None:
    text = TWO.format(
        "both = concat(a -> conv(4, 1), b)  both -> conv(8, choose(1, 3)) -> global_pool -> linear(10)"
    )
    graph = space_of(Source("two.space", text))
    assert [node.type.sizes for node in graph.graph.inputs] == [(3, 8, 8), (1, 8, 8)]
    assert Counter(verify_space(graph)).size() == 2
    assert cost(derive(graph, {"kernel": 3})).params == 12 + 5 * 8 * 9 + 90


def test_a_choice_between_inputs() -> None:
    chosen = "x = choose { left: a -> conv(4, 1) | right: b -> conv(4, 1) }"
    text = TWO.format(f"{chosen}  add(x, concat(a, b)) -> global_pool -> linear(10)")
    graph = verify_space(space_of(Source("two.space", text)))
    assert [cost(derive(graph, {"x": side})).params for side in ("left", "right")] == [12 + 50, 4 + 50]


def test_the_prelude_is_there_and_gives_way() -> None:
    assert cost(derive(space("separable(8, 3) -> squeeze_excite(2) -> global_pool"), {})).params == (
        27 + 24 + (8 * 2 + 2) + (2 * 8 + 8) + 90
    )
    own = "block separable(out, kernel) { conv(out, kernel) }"
    assert cost(derive(space("separable(8, 3) -> global_pool", before=own), {})).params == 216 + 90


def test_a_transformer_has_its_published_size() -> None:
    text = (
        "space deit_tiny { input [3, 224, 224]  output [1000]  conv(192, 16, stride = 16, padding = 0, bias = true) -> "
        "tokens -> class_token -> position_embedding -> repeat 12 { transformer_layer(heads = 3, hidden = 768) } -> "
        "layer_norm -> token -> linear(1000) }"
    )
    assert cost(derive(space_of(Source("deit.space", text)), {})).params == 5_717_416


COSTS = {
    "mobilenet_v2": (3_504_872, 300_774_272),
    "mobilenet_v3": (5_483_032, 216_589_760),
    "proxyless_mobile_searched": (4_080_512, 320_427_584),
    "proxyless_mobile_14": (6_857_568, 580_883_408),
}


@pytest.mark.parametrize("name", COSTS)
def test_shipped_networks_have_their_published_costs(name: str) -> None:
    found = cost(derive(shipped(name), {}))
    assert (found.params, found.macs) == COSTS[name]


def test_nas_bench_201_with_every_edge_3x3() -> None:
    graph = shipped("nas_bench_201")
    found = cost(derive(graph, {decision.path: "nor_conv_3x3" for decision in graph.decisions}))
    assert (found.params, found.macs) == (1_531_546, 220_119_680)


MISTAKES = {
    "other candidates in another instance": (
        "conv(8, 3) -> layer(8) -> layer(16) -> global_pool",
        "tied block layer(out) { same = in.channels == out  choose { conv(out, 3) | skip: zero when same } }",
        "E0326",
    ),
    "other values in another instance": (
        "layer(1) -> layer(2) -> global_pool",
        "tied block layer(n) { conv(3, choose(1, 2 * n + 1)) }",
        "E0326",
    ),
    "more picks than branches": ("add choose 3 of { relu | bn } -> global_pool", "", "E0327"),
    "no pick of a merge": ("add choose 0..1 of { relu | bn } -> global_pool", "", "E0327"),
    "a count that is a decision": (
        "n = choose(1, 2)\nadd choose n of { relu | bn } -> global_pool",
        "",
        "E0303",
    ),
    "contains of no set": (
        "k = choose(1, 3)\nconv(3, if k contains 3 then 3 else 1) -> global_pool",
        "",
        "E0328",
    ),
    "picked branches that do not fit": (
        "add choose 2 of { a: conv(4, 1) | b: conv(8, 1) | c: bn } -> global_pool",
        "",
        "E0321",
    ),
    "too many sets": (
        "s = choose 8 of (1..20)\nconv(if s contains 1 then 4 else 8, 1) -> global_pool",
        "",
        "E0307",
    ),
    "attention without values": ("tokens -> attention(in) -> global_pool", "", "E0121"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake: str) -> None:
    body, before, code = MISTAKES[mistake]
    assert [found for found, _, _ in codes(written(body, before=before))] == [code]


def test_several_inputs_have_no_in() -> None:
    text = TWO.format("conv(8, 3) -> add { a -> relu | b -> conv(3, 1) } -> global_pool -> linear(10)")
    assert [found for found, _, _ in codes(text)] == ["E0105"]


def test_one_block_under_two_names_is_tied(tmp_path: Path) -> None:
    (tmp_path / "lib.space").write_text(
        "tied block cell { conv(in.channels, choose(1, 3)) }", encoding="utf-8"
    )
    text = (
        'use "lib.space" as a\nuse "lib.space" as b\n'
        "space s { input [3, 8, 8]  output [3, 8, 8]  a.cell -> b.cell -> foo as a }\nblock foo { a.cell }"
    )
    graph = space_of(Source(str(tmp_path / "s.space"), text))
    assert [decision.path for decision in graph.decisions] == ["cell.kernel"]


def test_a_reference_passed_into_a_tied_block_names_its_own_place() -> None:
    before = (
        "block foo { conv(3, choose(1, 3)) }\nblock bar { conv(3, choose(1, 3)) }\ntied block cell(f) { f }"
    )
    graph = space("cell(foo) -> cell(bar) -> global_pool", before=before)
    assert [decision.path for decision in graph.decisions] == ["cell.foo.kernel", "cell.bar.kernel"]


FLATTENED = {
    "a condition whose decision another graph declares": (
        "b -> choose { b | skip: conv(3, 3) } -> global_pool",
        "tied block b { w = if choose(1, 3) == 1 then choose(3, 5) else 1  if w >= 1 { relu } }",
    ),
    "a growing width": (
        "conv(choose(16, 32), 3) -> repeat 8 { grow } -> global_pool",
        "block grow { conv(in.channels + in.channels // 2, 3) }",
    ),
}


@pytest.mark.parametrize("name", FLATTENED)
def test_what_once_did_not_flatten(name: str) -> None:
    body, before = FLATTENED[name]
    graph = space(body, before=before)
    flat = verify_space(flatten(graph))
    for architecture in every(Counter(graph)):
        assert cost(derive(flat, architecture.choices)) == cost(derive(graph, architecture.choices))


def test_the_right_of_and_is_decided_where_it_is_reached() -> None:
    assert (
        Counter(space("a = choose(1, 2)\nif a == 1 and choose(1, 2) == 2 { relu } -> global_pool")).size()
        == 3
    )


def test_floors_of_fractions_stay_exact() -> None:
    graph = space("w = choose(7 / 2, 9 / 2)\nconv(2 * (w // 1), 3) -> global_pool")
    widths = [derive(graph, each.choices).graph.nodes[1].type.sizes[0] for each in every(Counter(graph))]
    assert widths == [6, 8]


def test_a_tied_cell_in_many_candidates_is_counted() -> None:
    before = (
        "tied block cell { a = choose { conv(3, 3) | x: relu }\n"
        "b = add choose 1..2 of { u: a -> conv(3, 3) | v: in -> relu }\nadd(a, b) }"
    )
    counter = Counter(space("repeat 12 { choose { cell | n: relu } } -> global_pool", before=before))
    assert counter.size() == (2**12 - 1) * 6 + 1
