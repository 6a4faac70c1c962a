"""The exact cost of a network, from its graph alone: parameters, MACs, peak activation memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from compiler.ir.graph import INPUT, Network, Node
from compiler.ir.ops import OPERATORS
from compiler.ir.types import Dimensions
from compiler.kernel import FP32_BYTES


@dataclass(frozen=True)
class Cost:
    """Parameters (scales and shifts of norms included), multiply-accumulates of convolutions, linear layers and
    attention, and the peak of activation memory in bytes (batch 1, fp32, canonical order, weights not counted).
    """

    params: int
    macs: int
    peak_memory_bytes: int


def cost(network: Network) -> Cost:
    """The cost of a derived network."""
    graph = network.graph
    nodes = [node for node in graph.nodes if node.op != INPUT]
    sizes = {node.name: node.type.sizes for node in graph.nodes}
    return Cost(
        sum(node_params(node, sizes[node.inputs[0]]) for node in nodes),
        sum(node_macs(node, [sizes[operand] for operand in node.inputs]) for node in nodes),
        peak_memory_bytes(network),
    )


def node_params(node: Node, operand: Dimensions) -> int:
    """The trained elements of one operator."""
    return sum(prod(shape) for shape in OPERATORS[node.op].weights(operand, node.settings).values())


def node_macs(node: Node, operands: Sequence[Dimensions]) -> int:
    """The multiply-accumulates of one operator."""
    return OPERATORS[node.op].macs(operands, node.type.sizes, node.settings)


def peak_memory_bytes(network: Network) -> int:
    """The most bytes of activations alive at once.

    Operands and result of an operator are alive together; batch norm and activations work in place where
    nothing else reads their operand; the input counts.
    """
    return max(alive for _, alive in alive_bytes(network))


def alive_bytes(network: Network) -> Iterator[tuple[Node, int]]:
    """Each node in order, with the bytes of activations that are alive while it runs."""
    graph = network.graph
    last = {operand: index for index, node in enumerate(graph.nodes) for operand in node.inputs}
    last[graph.output] = len(graph.nodes)
    alive = {node.name: FP32_BYTES * node.type.elements for node in graph.inputs}
    for index, node in enumerate(graph.nodes):
        if node.op == INPUT:
            yield node, sum(alive.values())
            continue
        dying = [operand for operand in dict.fromkeys(node.inputs) if last[operand] == index]
        in_place = OPERATORS[node.op].in_place and bool(dying)
        alive[node.name] = FP32_BYTES * node.type.elements
        yield node, sum(alive.values()) - (alive[dying[0]] if in_place else 0)
        for operand in dying:
            del alive[operand]
