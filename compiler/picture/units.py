"""Operators that stand in one box: chains of one place, in the order of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from compiler.ir.graph import INPUT, MIXED, Candidate, Graph, Node
from compiler.ir.ops import OPERATORS

LINES_CAP = 6
"""The most lines of a box: a longer chain goes on in the next."""


@dataclass
class Unit:
    """The nodes of one box, a chain of which only the last is read elsewhere."""

    nodes: list[Node] = field(default_factory=list)

    @property
    def last(self) -> Node:
        return self.nodes[-1]

    @property
    def place(self) -> tuple[str, ...]:
        return place_of(self.nodes[0])

    @property
    def lines(self) -> list[list[Node]]:
        """Its nodes by line: what computes, with the elementwise operators behind it."""
        lines: list[list[Node]] = []
        for node in self.nodes:
            if lines and is_elementwise(node):
                lines[-1].append(node)
            else:
                lines.append([node])
        return lines


def place_of(node: Node) -> tuple[str, ...]:
    """Where a node stands in the file: what is before its own name. A mixed op is named by its place."""
    parts = tuple(node.name.split("."))
    return parts if node.op == MIXED or (len(parts) == 1 and node.candidates) else parts[:-1]


def is_elementwise(node: Node) -> bool:
    """An operator of one operand that works on each element by itself: it stands behind what it follows."""
    return len(node.inputs) == 1 and node.op in OPERATORS and OPERATORS[node.op].elementwise


def units_of(graph: Graph) -> list[Unit]:
    """The nodes of a graph in boxes, in topological order.

    A chain goes on where its last value has one reader of one operand in the same place; behind a merge go only
    elementwise operators. A chain's first node orders it, which is topological: all else in it reads the chain.
    """
    readers = _reader_counts(graph)
    open_: dict[str, Unit] = {}
    units: list[Unit] = []
    for node in graph.nodes:
        unit = open_.pop(node.inputs[0], None) if len(node.inputs) == 1 else None
        if unit is None or not _continues(unit, node, readers):
            unit = Unit()
            units.append(unit)
        unit.nodes.append(node)
        open_[node.name] = unit
    return units


def _reader_counts(graph: Graph) -> Mapping[str, int]:
    counts = dict.fromkeys([node.name for node in graph.nodes], 0)
    for node in graph.nodes:
        for operand in node.inputs:
            counts[operand] += 1
    counts[graph.output] += 1
    return counts


def _continues(unit: Unit, node: Node, readers: Mapping[str, int]) -> bool:
    before = unit.last
    if readers[before.name] != 1 or before.candidates or node.candidates or before.op == INPUT:
        return False
    if place_of(before) != place_of(node):
        return False
    if is_elementwise(node):
        return True
    return len(unit.nodes[0].inputs) == 1 and len(unit.lines) < LINES_CAP


def operands_of(units: Sequence[Unit]) -> list[str]:
    """The values that units read from outside, each once, in order."""
    inside = {node.name for unit in units for node in unit.nodes}
    read = [operand for unit in units for node in unit.nodes for operand in read_by(node)]
    return list(dict.fromkeys(operand for operand in read if operand not in inside))


def read_by(node: Node, candidates: Sequence[Candidate] | None = None) -> tuple[str, ...]:
    """The operands of a node that it reads, or that some of its candidates read, those given or all of them."""
    graphs = [each.graph for each in (node.candidates if candidates is None else candidates)]
    if not graphs:
        return node.inputs if candidates is None else ()
    read = [_inputs_read(graph) for graph in graphs]
    return tuple(operand for port, operand in enumerate(node.inputs) if any(port in ports for ports in read))


def _inputs_read(graph: Graph) -> set[int]:
    """Which inputs of a graph, by their order, something in it reads."""
    read = {graph.output}
    for node in reversed(graph.nodes):
        if node.name in read:
            read.update(read_by(node))
    return {port for port, entering in enumerate(graph.inputs) if entering.name in read}
