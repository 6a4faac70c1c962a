"""The verifier finds each broken rule, and names the node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from compiler.derive import derive
from compiler.ir.graph import Graph, Network, Node
from compiler.ir.types import TensorType
from compiler.ir.verify import InvalidGraph, verify_network, verify_space
from tests.compiler_spaces import SHIPPED, shipped, space


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_spaces_are_valid(name: str) -> None:
    assert verify_space(shipped(name)).name == name


def _network() -> Network:
    return derive(space("conv(4, 3) -> relu -> global_pool"), {})


BROKEN: dict[str, tuple[Callable[[Node], Node], str]] = {
    "type": (
        lambda node: replace(node, type=TensorType((9, 8, 8))),
        r"%relu = relu: its type is \[9, 8, 8\]",
    ),
    "operand": (lambda node: replace(node, inputs=("nowhere",)), "%relu = relu: an operand does not stand"),
    "operator": (lambda node: replace(node, op="rule"), "%relu = rule: no such operator"),
    "name": (lambda node: replace(node, name="conv"), "%conv = relu: the name is taken"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_node_is_named(name: str) -> None:
    change, message = BROKEN[name]
    network = _network()
    nodes = tuple(change(node) if node.op == "relu" else node for node in network.graph.nodes)
    with pytest.raises(InvalidGraph, match=message):
        verify_network(replace(network, graph=Graph(nodes, network.graph.output)))


def test_a_network_has_no_decision() -> None:
    graph = space("conv(choose(4, 8), 3) -> global_pool")
    with pytest.raises(InvalidGraph, match="depends on a decision"):
        verify_network(Network("it", graph.graph))
