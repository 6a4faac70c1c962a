"""Flattening: every decision in a mixed node, the same networks, prices that add up."""

from __future__ import annotations

import pytest

from compiler.architecture import sample
from compiler.counting import Counter
from compiler.derive import derive
from compiler.ir.graph import SpaceGraph
from compiler.ir.verify import verify_network, verify_space
from compiler.passes.flatten import CannotFlatten, flatten, mixed_nodes
from compiler.passes.pipeline import run_passes
from compiler.pricing import Prices, inference_plan, latency_costs, space_kernels
from tests.compiler_spaces import SEARCHABLE, shipped, space

BODIES = {
    "a value at the top": "conv(choose(4, 8), 3) -> bn -> relu -> conv(6, 1) -> bn -> global_pool",
    "two values of one operator": "conv(8, choose(1, 3)) -> depthwise(choose(3, 5)) -> global_pool",
    "a width shared by two layers": "w = choose(4, 8)\nconv(w, 1) -> relu -> conv(w, 3) -> conv(5, 1) -> global_pool",
    "a width around a path": (
        "conv(choose(4, 8), 1) -> choose { a: relu | c: identity } -> conv(5, 1) -> global_pool -> linear(10)"
    ),
    "two paths that are added": (
        "x = choose { conv(3, 1) | zero }\ny = choose { conv(3, 3) | none: zero }\nadd(x, y) -> relu -> global_pool"
    ),
    "a value that leaves by two ways": (
        "x = conv(choose(4, 8), 1)\nadd(x -> conv(5, 1), x -> conv(5, 3)) -> global_pool"
    ),
    "elastic depth": "repeat choose(1, 2, 3) as i { conv(3, choose(1, 3)) } -> global_pool",
    "a choice of activation": "act(choose(relu, hswish)) -> global_pool",
    "a decision at the output": "global_pool -> choose { linear(10) | free: linear(10, bias = false) }",
    "a decision without effect": "w = choose(1, 2)\nconv(4, if w > 0 then 1 else 3) -> global_pool",
}


BEFORE = "block act(a) { conv(4, 1) -> a -> conv(4, 1) -> a }"


def _space(name: str) -> SpaceGraph:
    return space(BODIES[name], before=BEFORE) if name in BODIES else shipped(name)


SUMS = ("two paths that are added", "nas_bench_201")
"""A zero of one decision that another's `add` reads stays in the flattened form, where units are known."""


@pytest.mark.parametrize("name", [name for name in (*SEARCHABLE, *BODIES) if name not in SUMS])
def test_the_same_networks_come_out(name: str) -> None:
    original = _space(name)
    flat = run_passes(original)
    verify_space(flat)
    assert all(node.op != "select" for node in flat.graph.nodes)
    for architecture in sample(original, 8, seed=5):
        expected, found = (verify_network(derive(each, architecture.choices)) for each in (original, flat))
        plain = [
            (node.name, node.op, node.inputs, node.type, node.attributes) for node in expected.graph.nodes
        ]
        assert [(n.name, n.op, n.inputs, n.type, n.attributes) for n in found.graph.nodes] == plain


@pytest.mark.parametrize("name", [*SEARCHABLE, *BODIES])
def test_the_price_of_a_network_is_the_sum_of_its_parts(name: str) -> None:
    original = _space(name)
    flat = flatten(original)
    table = Prices({s: float(len(s)) for s in space_kernels(flat)}, constant_ms=3.0)
    costs = latency_costs(flat, table)
    for architecture in sample(original, 8, seed=6):
        total = costs.fixed_ms
        for node in mixed_nodes(flat):
            picked = [
                index
                for index, candidate in enumerate(node.candidates)
                if all(architecture.choices.get(path) == choice for path, choice in candidate.choices)
            ]
            assert len(picked) == 1
            total += costs.candidates_ms[node.name][picked[0]]
        plan = inference_plan(derive(flat, architecture.choices))
        priced = pytest.approx(table.constant_ms + table.of(plan))
        # Where a cell drops what it does not read, the sum still has it: an upper bound, under which a cap holds.
        assert total == priced or (name == "nas_bench_201" and total > table.constant_ms + table.of(plan))


def test_a_skip_is_a_plain_wire() -> None:
    node = mixed_nodes(flatten(shipped("quickstart")))[0]
    skip = next(candidate.graph for candidate in node.candidates if candidate.key == "skip")
    assert [each.op for each in skip.nodes] == ["input"]


def test_proxyless_mobile_has_94_kernels_and_21_mixed_ops() -> None:
    flat = flatten(shipped("proxyless_mobile"))
    assert len(mixed_nodes(flat)) == 21
    assert len(space_kernels(flat)) == 94


def test_candidates_cover_the_space() -> None:
    flat = flatten(shipped("proxyless_mobile"))
    total = 1
    for node in mixed_nodes(flat):
        total *= len(node.candidates)
    assert total == Counter(shipped("proxyless_mobile")).size()


def test_too_many_joint_choices_are_refused_with_their_number() -> None:
    body = "repeat choose(1, 2, 3, 4) as i { conv(3, choose(1, 3, 5, 7)) -> conv(3, choose(1, 3, 5)) } -> global_pool"
    with pytest.raises(CannotFlatten, match="joint choices of 7 decisions"):
        flatten(space(body))
