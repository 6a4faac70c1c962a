"""Networks are priced by the blocks that cover them, candidates by what they add; what is missing is named."""

from __future__ import annotations

import pytest

from compiler.architecture import sample
from compiler.derive import derive
from compiler.ir.graph import SpaceGraph
from compiler.passes.flatten import flatten
from compiler.path_costs import latency_path_costs
from compiler.path_decisions import LatencyCosts, path_decisions
from compiler.tables.block import read_block
from compiler.tables.block_table import BlockTable, Time
from compiler.tables.costs import SharedBlocks, block_costs, network_latency_ms
from compiler.tables.cover import MissingBlocks
from tests.compiler_spaces import space

CONV = "conv(%0, out=8, kernel=3, bias=true)"
DENSE = "f32 nhwc (8x8x8) global_pool(%0); linear(%1, out=10)"
STEM = "f32 nhwc (3x8x8) conv(%0, out=8, kernel=3, bias=true)"


def of(times_ms: dict[str, float]) -> BlockTable:
    return BlockTable("toy", {read_block(text): Time(time) for text, time in times_ms.items()})


def latency_ms(graph: SpaceGraph, times_ms: dict[str, float]) -> float:
    return network_latency_ms(derive(graph, {}), of(times_ms))


def test_the_fewest_blocks_cover() -> None:
    graph = space("conv(8, 3) -> bn -> relu -> dropout(0.5) -> global_pool")
    parts = {STEM: 4.0, "f32 nhwc (8x8x8) relu(%0)": 2.0, DENSE: 1.0}
    assert latency_ms(graph, parts) == 7.0
    assert latency_ms(graph, {**parts, f"{STEM}; relu(%1)": 5.0}) == 6.0


def test_a_residual_is_part_of_its_block() -> None:
    graph = space("conv(8, 3) -> bn -> residual { conv(8, 3) -> bn } -> global_pool")
    block = f"f32 nhwc (8x8x8) {CONV}"
    assert latency_ms(graph, {STEM: 1.0, f"{block}; add(%1, %0)": 2.0, DENSE: 4.0}) == 7.0
    # Its first half alone is no cover: the sum would read a value from inside another block.
    with pytest.raises(MissingBlocks, match="covers `add`"):
        latency_ms(graph, {STEM: 1.0, block: 2.0, DENSE: 4.0})


def test_a_value_that_others_read_ends_a_block() -> None:
    graph = space("x = conv(8, 3) -> bn -> relu\nadd(x, x -> conv(8, 3)) -> global_pool")
    block = f"f32 nhwc (8x8x8) {CONV}; add(%0, %1)"
    with pytest.raises(MissingBlocks):
        latency_ms(graph, {f"{STEM}; relu(%1); conv(%2, out=8, kernel=3)": 1.0, DENSE: 1.0})
    assert (
        latency_ms(
            graph, {f"{STEM}; relu(%1)": 1.0, block.replace("bias=true", "bias=false"): 2.0, DENSE: 4.0}
        )
        == 7.0
    )


def test_what_is_missing_is_named_with_its_layers() -> None:
    graph = space(
        "conv(8, 3) -> bn -> relu6 -> conv(16, 1) -> bn -> relu6 -> conv(16, 5) -> hswish -> global_pool"
    )
    known = {f"{STEM}; relu6(%1)": 1.0, DENSE: 1.0}
    with pytest.raises(MissingBlocks) as caught:
        latency_ms(graph, known)
    assert str(caught.value).splitlines() == [
        "the latency table of toy lacks 4 blocks that the network needs",
        "  Conv_1-input:8x8x8-output:8x8x16",
        "    at test.space:5:34: `conv2`",
        "  a block that covers `conv`",
        "    at test.space:5:64: `conv3`",
        "  a block that covers `hswish`",
        "    at test.space:5:79: `hswish`",
        "  Logits-input:8x8x16-output:10",
        "    at test.space:5:89: `global_pool`",
        "measure them and add them to the table (docs/latency_tables.md), or change the layers",
    ]


SEARCHED = """
conv(8, 3) -> relu
-> residual { choose { conv: conv(8, choose(3, 5)) -> relu | skip: zero } }
-> conv(8, 1) -> choose { relu | hswish | none: identity } -> conv(8, 3)
-> global_pool
"""
TIMES = {
    "f32 nhwc (3x8x8) conv(%0, out=8, kernel=3); relu(%1)": 1.0,
    "f32 nhwc (8x8x8) conv(%0, out=8, kernel=3); relu(%1); add(%2, %0)": 2.0,
    "f32 nhwc (8x8x8) conv(%0, out=8, kernel=5); relu(%1); add(%2, %0)": 4.0,
    "f32 nhwc (8x8x8) conv(%0, out=8, kernel=1); relu(%1)": 8.0,
    "f32 nhwc (8x8x8) conv(%0, out=8, kernel=1); hswish(%1)": 16.0,
    "f32 nhwc (8x8x8) conv(%0, out=8, kernel=1)": 32.0,
    "f32 nhwc (8x8x8) conv(%0, out=8, kernel=3)": 64.0,
    DENSE: 128.0,
}


def rows(graph: SpaceGraph, costs: LatencyCosts) -> tuple[tuple[float, ...], ...]:
    return latency_path_costs(path_decisions(flatten(graph).graph), costs).rows


def test_candidates_are_priced_with_what_their_block_takes_in() -> None:
    graph = space(SEARCHED)
    costs = block_costs(flatten(graph), of(TIMES))
    assert costs.fixed_ms == 193.0
    assert rows(graph, costs) == ((2.0, 4.0, 0.0), (8.0, 16.0, 32.0))


def test_a_network_costs_the_sum_of_its_parts() -> None:
    graph, prices = space(SEARCHED), of(TIMES)
    flat = flatten(graph)
    costs, decisions = block_costs(flat, prices), path_decisions(flat.graph)
    for architecture in sample(graph, 20, 0):
        chosen = architecture.choices.items()
        picks = [
            next(i for i, choices in enumerate(decision.choices) if set(choices) <= set(chosen))
            for decision in decisions
        ]
        whole = network_latency_ms(derive(graph, architecture.choices), prices)
        assert whole == latency_path_costs(decisions, costs).total(picks)


def test_what_any_candidate_lacks_is_named_with_the_choice() -> None:
    lacking = {text: time for text, time in TIMES.items() if "kernel=5" not in text}
    with pytest.raises(
        MissingBlocks,
        match=r"kernel=5.*add\(%0, %2\)\n +at test.space:6:\d+: `conv\.kernel \(conv kernel=5\)`",
    ):
        block_costs(flatten(space(SEARCHED)), of(lacking))


def test_decisions_that_share_a_block_have_no_prices() -> None:
    graph = space(
        "choose { a: conv(8, 1) | b: conv(8, 3) } -> conv(8, 1) -> choose { relu | hswish } -> global_pool"
    )
    times = {
        f"f32 nhwc (3x8x8) conv(%0, out=8, kernel={kernel}); conv(%1, out=8, kernel=1); {act}(%2)": 1.0
        for kernel in (1, 3)
        for act in ("relu", "hswish")
    }
    with pytest.raises(SharedBlocks, match=r"across the decisions `path` and `path2`.*--arch"):
        block_costs(flatten(graph), of({**times, DENSE: 1.0}))
