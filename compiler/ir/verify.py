"""Verify a graph: the rules of a space graph, and the stricter ones of a network.

Every node's type is inferred again and compared, every operand stands before its reader, every decision
that is read is declared around it. An error prints the node that breaks the rule.
"""

from __future__ import annotations

from collections.abc import Mapping

from compiler.ir.expression import Choice, Value, apply, both, choices_of, is_symbolic
from compiler.ir.graph import INPUT, MIXED, SELECT, Graph, Network, Node, SpaceGraph, decisions_of
from compiler.ir.ops import OPERATORS, Demands, TypeProblem
from compiler.ir.text import print_network


class InvalidGraph(ValueError):
    """A graph that breaks a rule of its stage: a defect of whatever made it, not of the user's file."""


def verify_space(space: SpaceGraph) -> SpaceGraph:
    """The space, if it keeps the rules.

    Raises:
        InvalidGraph: it does not; the message names the node and the rule.
    """
    paths = [decision.path for decision in decisions_of(space.graph)]
    if len(set(paths)) < len(paths):
        raise InvalidGraph(f"{space.name}: a decision is declared twice")
    _verify_graph(space.graph, {}, True)
    return space


def verify_network(network: Network) -> Network:
    """The network, if it keeps the rules: those of a space graph, no decision, only concrete types.

    Raises:
        InvalidGraph: it does not; the message names the node and the rule, and prints the network.
    """
    try:
        for node in network.graph.nodes:
            _require(node.op not in (SELECT, MIXED), node, "a decision is left")
            _require(node.type.is_concrete, node, "its type depends on a decision")
            _require(
                not any(is_symbolic(v) for v in node.settings.values()), node, "an attribute is not literal"
            )
        _require(not network.graph.decisions, network.graph.nodes[0], "a decision is declared")
        _verify_graph(network.graph, {}, True)
    except InvalidGraph as problem:
        raise InvalidGraph(f"{problem}\n{print_network(network)}") from None
    return network


def _require(condition: bool, node: Node, message: str) -> None:
    if not condition:
        raise InvalidGraph(f"%{node.name} = {node.op}: {message}")


def _verify_graph(graph: Graph, outer: Mapping[str, Choice], assuming: Value) -> None:
    known = {**outer, **{decision.path: decision.choice for decision in graph.decisions}}
    seen: set[str] = set()
    for node in graph.nodes:
        _require(node.name not in seen, node, "the name is taken")
        _require(all(operand in seen for operand in node.inputs), node, "an operand does not stand before it")
        unknown = set(choices_of(*node.settings.values(), node.selector)) - set(known)
        _require(not unknown, node, f"it reads the decisions {sorted(unknown)}, which are not declared here")
        _verify_node(graph, node, known, assuming)
        seen.add(node.name)
    if graph.output not in seen:
        raise InvalidGraph(f"the output %{graph.output} does not stand in its graph")


def _verify_node(graph: Graph, node: Node, known: Mapping[str, Choice], assuming: Value) -> None:
    if node.op == INPUT:
        _require(not node.inputs, node, "an input has no operand")
    elif node.op in (SELECT, MIXED):
        _verify_candidates(graph, node, known, assuming)
    else:
        _require(node.op in OPERATORS, node, "no such operator")
        operands = [graph[operand].type for operand in node.inputs]
        try:
            inferred = OPERATORS[node.op].result(operands, node.settings, assuming)
            Demands(assuming).alike(inferred, node.type, f"its type is {node.type}, inferred {inferred}")
        except (TypeProblem, KeyError) as problem:
            raise InvalidGraph(f"%{node.name} = {node.op}: {problem}") from None


def _verify_candidates(graph: Graph, node: Node, known: Mapping[str, Choice], assuming: Value) -> None:
    _require(bool(node.candidates), node, "it has no candidate")
    keys = [candidate.key for candidate in node.candidates]
    _require(len(set(keys)) == len(keys), node, "two candidates have one key")
    _require(
        (node.selector is None) == (node.op == MIXED), node, "a select has a selector, a mixed node none"
    )
    operands = [graph[operand].type for operand in node.inputs]
    for candidate in node.candidates:
        entering = [entry.type for entry in candidate.graph.inputs]
        _require(entering == operands, node, f"candidate {candidate.key}: its inputs are not the node's")
        where = assuming
        if node.selector is not None:
            where = both(assuming, apply("==", node.selector, candidate.key))
        _verify_graph(candidate.graph, known, where)
        try:
            Demands(where).alike(
                candidate.graph.type, node.type, f"candidate {candidate.key} gives another type"
            )
        except TypeProblem as problem:
            raise InvalidGraph(f"%{node.name} = {node.op}: {problem}") from None
