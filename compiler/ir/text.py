"""The text of a graph: `print_space`, `print_network`, and `read`, which gives back an equal value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import LarkError

from compiler.ir.expression import Apply, Choice, Literal, Value, normal
from compiler.ir.graph import Candidate, Decision, Graph, Limit, Network, Node, SpaceGraph
from compiler.ir.types import TensorType


class NotAGraph(ValueError):
    """Text that is not a graph of this version."""


# Printing


def print_space(space: SpaceGraph) -> str:
    """The text of a space graph."""
    lines = [f"space {space.name}"]
    for limit in space.limits:
        where = f" on {limit.target}" if limit.target else ""
        lines.append(f"require {limit.metric} {limit.comparison} {_value(limit.bound)}{where}")
    return "\n".join([*lines, *_graph(space.graph, "")]) + "\n"


def print_network(network: Network) -> str:
    """The text of a network."""
    choices = [f"choose {path} = {_value(choice)}" for path, choice in network.choices.items()]
    return "\n".join([f"network {network.name}", *choices, *_graph(network.graph, "")]) + "\n"


def _graph(graph: Graph, indent: str) -> Iterator[str]:
    yield f"{indent}{{"
    inner = indent + "  "
    for decision in graph.decisions:
        options = ", ".join(_value(option) for option in decision.options)
        when = "" if decision.condition is True else f" when {_value(decision.condition)}"
        yield f"{inner}decide {decision.kind} {decision.path} in [{options}]{when}"
    for node in graph.nodes:
        yield f"{inner}{_node(node)}"
        for candidate in node.candidates:
            yield f"{inner}| {_candidate(candidate)}:"
            yield from _graph(candidate.graph, inner + "  ")
    yield f"{inner}return %{graph.output}"
    yield f"{indent}}}"


def _node(node: Node) -> str:
    operands = ", ".join(f"%{operand}" for operand in node.inputs)
    attributes = ", ".join(f"{name} = {_value(value)}" for name, value in node.attributes)
    sizes = ", ".join(_value(size) for size in node.type.dimensions)
    parts = [
        f"%{node.name} = {node.op}({operands})",
        f"{{{attributes}}}" if attributes else "",
        f": [{sizes}]",
    ]
    parts.append(f"unit {node.unit}" if node.unit else "")
    parts.append(f"by {_value(node.selector)}" if node.selector is not None else "")
    return " ".join(part for part in parts if part)


def _candidate(candidate: Candidate) -> str:
    choices = ", ".join(f"{path} = {_value(choice)}" for path, choice in candidate.choices)
    return f"{_value(candidate.key)} ({choices})" if choices else _value(candidate.key)


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"{{{', '.join(_value(member) for member in value)}}}"
    if isinstance(value, Choice):
        return f"${value.path}"
    if isinstance(value, Apply):
        return f"({value.function} {' '.join(_value(argument) for argument in value.arguments)})"
    return str(value)


# Reading


@cache
def _parser() -> Lark:
    grammar = files("grammar").joinpath("graph.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", maybe_placeholders=True)


def read(text: str) -> SpaceGraph | Network:
    """The space graph or network that `text` prints.

    Raises:
        NotAGraph: it is not one; the message names the line and column.
    """
    try:
        head, body = _trees(_parser().parse(text))
    except LarkError as problem:
        where = f"{getattr(problem, 'line', '?')}:{getattr(problem, 'column', '?')}"
        raise NotAGraph(f"not the text of a graph, at {where}") from None
    try:
        return _read_file(head, body)
    except KeyError as problem:
        raise NotAGraph(f"a decision or value is read before it stands: {problem}") from None


def _trees(parent: Tree[Token]) -> list[Tree[Token]]:
    return [child for child in parent.children if isinstance(child, Tree)]


def _read_file(head: Tree[Token], body: Tree[Token]) -> SpaceGraph | Network:
    name, rest = str(head.children[0]), head.children[1:]
    graph = _read_graph(body, {})
    if head.data == "network":
        choices = {str(each.children[0]): _literal(each.children[1]) for each in rest}  # type: ignore[union-attr]
        return Network(name, graph, choices)
    return SpaceGraph(name, graph, tuple(_read_limit(each) for each in rest))


def _read_limit(tree: Any) -> Limit:
    metric, comparison, bound, target = tree.children
    return Limit(str(metric), str(comparison), _read_value(bound, {}), str(target) if target else None)  # type: ignore[arg-type]


def _read_graph(tree: Any, known: Mapping[str, Choice]) -> Graph:
    scope, decisions = dict(known), []
    for each in tree.children:
        if _is(each, "decision"):
            decisions.append(_read_decision(each, scope))
            scope[decisions[-1].path] = decisions[-1].choice
    nodes = tuple(_read_node(each, scope) for each in tree.children if _is(each, "node"))
    output = str(tree.children[-1])[1:]
    names = [node.name for node in nodes]
    if output not in names or any(operand not in names for node in nodes for operand in node.inputs):
        raise NotAGraph("a graph reads or returns a value that does not stand in it")
    return Graph(nodes, output, tuple(decisions))


def _is(tree: object, rule: str) -> bool:
    return isinstance(tree, Tree) and tree.data == rule


def _read_decision(tree: Any, known: Mapping[str, Choice]) -> Decision:
    kind, path, *options, condition = tree.children
    return Decision(
        str(path),
        tuple(_literal(option) for option in options),
        str(kind),  # type: ignore[arg-type]
        condition=True if condition is None else _read_value(condition, known),
    )


def _read_node(tree: Any, known: Mapping[str, Choice]) -> Node:
    name, op = str(tree.children[0])[1:], str(tree.children[1])
    operands = tuple(str(c)[1:] for c in tree.children[2:] if isinstance(c, Token) and c.type == "VALUE")
    found = {c.data: c for c in tree.children if isinstance(c, Tree) and c.data != "candidate"}
    attributes = [each.children for each in found["attributes"].children] if "attributes" in found else []
    return Node(
        name,
        op,
        operands,
        TensorType(tuple(_read_value(size, known) for size in found["type"].children)),
        tuple((str(key), _read_value(value, known)) for key, value in attributes),
        _read_value(found["selector"].children[0], known) if "selector" in found else None,
        tuple(_read_candidate(c, known) for c in tree.children if _is(c, "candidate")),
        str(found["unit"].children[0]) if "unit" in found else "",
    )


def _read_candidate(tree: Any, known: Mapping[str, Choice]) -> Candidate:
    key, choices, graph = tree.children
    pairs = [each for each in choices.children if each is not None]
    read_choices = tuple((str(p), _literal(v)) for p, v in zip(pairs[::2], pairs[1::2], strict=True))
    return Candidate(_literal(key), _read_graph(graph, known), read_choices)


def _read_value(tree: Any, known: Mapping[str, Choice]) -> Value:
    if tree.data == "decided":
        return known[str(tree.children[0])[1:]]
    if tree.data == "apply":
        function, *arguments = tree.children
        return Apply(str(function), tuple(_read_value(argument, known) for argument in arguments))
    return _literal(tree)


def _literal(tree: Any) -> Literal:
    if tree.data in ("true", "false"):
        return bool(tree.data == "true")
    if tree.data == "set":
        return tuple(_literal(member) for member in tree.children if member is not None)  # type: ignore[misc]
    text = str(tree.children[0])
    return text[1:-1] if tree.data == "string" else normal(Fraction(text))
