"""Verify a graph: the rules of a space graph, and the stricter ones of a network.

Every node's type is inferred again and compared, every operand stands before its reader, every decision
that is read is declared around it. An error prints the node that breaks the rule.
"""

from __future__ import annotations

from collections.abc import Mapping

from compiler.ir.expression import Choice, Value, apply, both, choices_of, is_symbolic
from compiler.ir.graph import (
    INPUT,
    MIXED,
    SELECT,
    Candidate,
    Decision,
    Graph,
    Network,
    Node,
    SpaceGraph,
    declarations,
)
from compiler.ir.merge import merged_type
from compiler.ir.ops import OPERATORS, Demands, TypeProblem
from compiler.ir.text import print_network


class InvalidGraph(ValueError):
    """A graph that breaks a rule of its stage: a defect of whatever made it, not of the user's file."""


def verify_space(space: SpaceGraph) -> SpaceGraph:
    """The space, if it keeps the rules.

    Raises:
        InvalidGraph: it does not; the message names the node and the rule.
    """
    first: dict[str, Decision] = {}
    for decision in declarations(space.graph):
        if first.setdefault(decision.path, decision).options != decision.options:
            raise InvalidGraph(
                f"{space.name}: the decision {decision.path} is declared with other options, too"
            )
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
    for decision in graph.decisions:
        strange = set(choices_of(decision.condition)) - set(known)
        if strange:
            raise InvalidGraph(f"the decision {decision.path} waits for {sorted(strange)}, not declared here")
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
        where = both(assuming, _picks(node, candidate))
        _verify_graph(candidate.graph, known, where)
    _verify_result(node, assuming)


def _picks(node: Node, candidate: Candidate) -> Value:
    """The condition under which a node takes a candidate; a mixed node's holds by its choices."""
    if node.selector is None:
        return True
    return apply("contains" if "merge" in node.settings else "==", node.selector, candidate.key)


def _verify_result(node: Node, assuming: Value) -> None:
    """The candidates give the node's type, or are merged to it."""
    try:
        merge = node.settings.get("merge")
        if merge is not None and node.selector is not None:
            picked = [(each.key, each.graph.type) for each in node.candidates]
            merged = merged_type(str(merge), node.selector, picked, assuming)  # type: ignore[arg-type]
            Demands(assuming).alike(merged, node.type, f"the merge gives {merged}, not {node.type}")
            return
        for candidate in node.candidates:
            where = both(assuming, _picks(node, candidate))
            message = f"candidate {candidate.key} gives another type"
            Demands(where).alike(candidate.graph.type, node.type, message)
    except TypeProblem as problem:
        raise InvalidGraph(f"%{node.name} = {node.op}: {problem}") from None
