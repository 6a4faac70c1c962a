"""The range of a space's latency is that of its networks, and its fastest network is one of it."""

from __future__ import annotations

import pytest

from compiler.architecture import Architecture, validate
from compiler.ir.graph import SpaceGraph
from compiler.passes.flatten import flatten, mixed_nodes
from compiler.path_decisions import LatencyCosts
from compiler.predict import space_latency
from tests.compiler_spaces import space

BODIES = {
    "no decision": "conv(8, 3) -> bn -> relu -> global_pool",
    "nested": "conv(8, 3) -> residual { choose { conv(8, choose(3, 5)) | skip: zero } }"
    " -> conv(4, choose(1, 3)) -> global_pool",
    "elastic width": "conv(choose(4, 8), 3) -> bn -> conv(8, choose(1, 3)) -> choose { relu | hswish } -> global_pool",
    "shared": "k = choose(3, 5)\nconv(8, k) -> bn -> conv(8, k) -> global_pool",
    "repeat": "conv(8, 3) -> repeat choose(1..3) { conv(8, choose(1, 3)) } -> global_pool",
}


def priced(graph: SpaceGraph) -> LatencyCosts:
    nodes = mixed_nodes(flatten(graph))
    return LatencyCosts(1.0, {node.name: tuple(range(5, 5 - len(node.candidates), -1)) for node in nodes})


@pytest.mark.parametrize("name", BODIES)
def test_the_fastest_network_is_one_of_the_space(name: str) -> None:
    graph = space(BODIES[name])
    found = space_latency(graph, flatten(graph), priced(graph))
    assert validate(graph, found.fastest) == found.fastest
    rows = priced(graph).candidates_ms.values()
    assert found.min_ms == 1.0 + sum(map(min, rows))
    assert found.max_ms == 1.0 + sum(map(max, rows))
    assert found.expected_ms == pytest.approx(1.0 + sum(sum(row) / len(row) for row in rows))


def test_a_decision_without_effect_gets_its_first_option() -> None:
    graph = space(
        "conv(8, choose(3, 5)) -> idle(choose(7, 9)) -> global_pool",
        before="block idle(size) { if size > 9 { relu } }",
    )
    fastest = space_latency(graph, flatten(graph), priced(graph)).fastest
    assert fastest == Architecture("it", {"kernel": 5, "size": 7})
