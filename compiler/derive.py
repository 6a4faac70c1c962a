"""Make the network that a set of choices describes: select what was chosen, evaluate every expression."""

from __future__ import annotations

from compiler.ir.expression import Assignment, evaluate
from compiler.ir.graph import (
    INPUT,
    MIXED,
    SELECT,
    Graph,
    GraphBuilder,
    Network,
    Node,
    SpaceGraph,
    taken,
)
from compiler.passes.simplify import simplify


def derive(space: SpaceGraph, choices: Assignment) -> Network:
    """The network of `choices`, in a space or in its flattened form; identities and zeros are simplified away.

    Raises:
        KeyError: a decision that is reached has no choice; validate the choices first.
    """
    return Network(space.name, derive_graph(space.graph, choices), dict(choices))


def derive_graph(graph: Graph, choices: Assignment) -> Graph:
    """The concrete graph of `choices`; its inputs stay."""
    builder = GraphBuilder()
    names = {node.name: builder.add(_concrete(node, choices)) for node in graph.nodes if node.op == INPUT}
    output = _inline(builder, graph, names, choices, "")
    return _ordered(simplify(builder.build(output)))


def _ordered(graph: Graph) -> Graph:
    """The nodes in the canonical order: each right behind the last of its operands, these in their order.

    It does not depend on how the graph was made, so that a space and its flattened form give the same network.
    """
    done: dict[str, Node] = {node.name: node for node in graph.inputs}
    pending = [graph.output]
    while pending:
        node = graph[pending[-1]]
        missing = [operand for operand in node.inputs if operand not in done]
        if missing and node.name not in done:
            pending.extend(reversed(missing))
        else:
            done[pending.pop()] = node
    return Graph(tuple(done.values()), graph.output, graph.decisions)


def _concrete(node: Node, choices: Assignment, inputs: tuple[str, ...] = (), unit: str = "") -> Node:
    attributes = tuple((name, evaluate(value, choices)) for name, value in node.attributes)
    type_ = node.type.under(choices)
    return Node(node.name, node.op, inputs, type_, attributes, unit=node.unit or unit, span=node.span)


def _inline(
    builder: GraphBuilder, graph: Graph, names: dict[str, str], choices: Assignment, unit: str
) -> str:
    """Copy what `choices` leave of `graph`; `names` binds its inputs. Returns the output's name."""
    for node in graph.nodes:
        if node.op == INPUT:
            continue
        inputs = tuple(names[operand] for operand in node.inputs)
        if node.op in (SELECT, MIXED):
            own_unit = node.name if node.op == MIXED else unit
            results = []
            for inner in _taken(node, choices):
                bound = {entering.name: name for entering, name in zip(inner.inputs, inputs, strict=True)}
                results.append(_inline(builder, inner, bound, choices, own_unit))
            names[node.name] = _merged(builder, node, results, choices, own_unit)
        else:
            names[node.name] = builder.add(_concrete(node, choices, inputs, unit))
    return names[graph.output]


def _taken(node: Node, choices: Assignment) -> tuple[Graph, ...]:
    return taken(node, choices) if node.op == SELECT else (candidate_of(node, choices),)


def _merged(builder: GraphBuilder, node: Node, results: list[str], choices: Assignment, unit: str) -> str:
    """The one value, or the merge of several."""
    merge = node.settings.get("merge")
    if merge is None or len(results) == 1:
        return results[0]
    return builder.add(
        Node(node.name, str(merge), tuple(results), node.type.under(choices), unit=unit, span=node.span)
    )


def candidate_of(node: Node, choices: Assignment) -> Graph:
    """The candidate of a mixed node that `choices` stand for."""
    for candidate in node.candidates:
        if all(choices.get(path) == choice for path, choice in candidate.choices):
            return candidate.graph
    raise KeyError(f"no candidate of {node.name} has the choices given")
