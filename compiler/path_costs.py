"""What a metric of a network is made of: a fixed part, and a summand for each candidate of each decision.

Pure arithmetic on floats: no tensor, no clock. Values are in the metric's own unit: milliseconds, or a count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from compiler.cost import node_macs, node_params
from compiler.ir.graph import INPUT, MIXED, Graph, Node, SpaceGraph
from compiler.ir.types import Dimensions
from compiler.path_decisions import LatencyCosts, PathDecision

Picks = tuple[int, ...]
"""A network: the index of the candidate of each decision."""


@dataclass(frozen=True)
class PathCosts:
    """An additive metric of the networks of a space: `rows` has a row for each decision."""

    fixed: float
    rows: tuple[tuple[float, ...], ...]

    def total(self, picks: Sequence[int]) -> float:
        """The metric of one network: added up in order, so that equal picks give equal bits."""
        total = self.fixed
        for row, pick in zip(self.rows, picks, strict=True):
            total += row[pick]
        return total

    def mean(self, shares: Sequence[Sequence[float]]) -> float:
        """The expectation where each candidate of each decision has its share."""
        pairs = zip(self.rows, shares, strict=True)
        return self.fixed + sum(s * cost for row, part in pairs for s, cost in zip(part, row, strict=True))

    @property
    def least(self) -> Picks:
        """The network of the least total: the cheapest candidate of each decision."""
        return tuple(min(range(len(row)), key=row.__getitem__) for row in self.rows)

    @property
    def most(self) -> Picks:
        """The network of the greatest total."""
        return tuple(max(range(len(row)), key=row.__getitem__) for row in self.rows)

    @property
    def uniform_mean(self) -> float:
        """The expectation where all candidates of a decision are as likely as each other."""
        return self.mean([[1 / len(row)] * len(row) for row in self.rows])


def latency_path_costs(decisions: Sequence[PathDecision], costs: LatencyCosts) -> PathCosts:
    """The latency of each candidate of each decision: the sum over the decision's members.

    Raises:
        ValueError: a mixed node has no cost, or not one for each of its candidates.
    """
    for decision in decisions:
        for member in decision.members:
            priced = len(costs.candidates_ms.get(member, ()))
            if priced != len(decision.labels):
                what = f"{priced} latencies for the {len(decision.labels)} candidates of `{member}`"
                raise ValueError(what)
    return _by_decision(decisions, costs.fixed_ms, costs.candidates_ms)


def size_costs(flat: SpaceGraph, decisions: Sequence[PathDecision]) -> dict[str, PathCosts]:
    """`macs` and `params` of a flattened space.

    Exact, but for operators that a derived network drops because nothing reads them, as before a `zero` in a
    cell: they count here, so that a total is then an upper bound.
    """
    measures: dict[str, Callable[[Node, Sequence[Dimensions]], int]] = {
        "macs": node_macs,
        "params": lambda node, operands: node_params(node, operands[0]),
    }
    return {name: _size(flat.graph, decisions, measure) for name, measure in measures.items()}


def _size(
    graph: Graph, decisions: Sequence[PathDecision], measure: Callable[[Node, Sequence[Dimensions]], int]
) -> PathCosts:
    def of(part: Graph) -> int:
        sizes = {node.name: node.type.sizes for node in part.nodes}
        plain = [node for node in part.nodes if node.op not in (INPUT, MIXED)]
        return sum(measure(node, [sizes[operand] for operand in node.inputs]) for node in plain)

    mixed = {node.name: node for node in graph.nodes if node.op == MIXED}
    rows = {name: [of(each.graph) for each in node.candidates] for name, node in mixed.items()}
    return _by_decision(decisions, of(graph), rows)


def _by_decision(
    decisions: Sequence[PathDecision], fixed: float, rows: Mapping[str, Sequence[float]]
) -> PathCosts:
    members = [[rows[member] for member in decision.members] for decision in decisions]
    return PathCosts(fixed, tuple(tuple(map(sum, zip(*each, strict=True))) for each in members))
