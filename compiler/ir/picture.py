"""A graph for other programs: Graphviz's dot language and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from compiler.ir.expression import show
from compiler.ir.graph import Graph, Node


def to_dot(name: str, graph: Graph) -> str:
    """The graph in the dot language; each candidate of a decision is a cluster."""
    lines = [f"digraph {_quoted(name)} {{", "  rankdir=TB; node [shape=box, fontname=Helvetica];"]
    return "\n".join([*lines, *_dot_nodes(graph, "", "  "), "}"]) + "\n"


def _dot_nodes(graph: Graph, prefix: str, indent: str) -> Iterator[str]:
    for node in graph.nodes:
        identity = _quoted(prefix + node.name)
        yield f"{indent}{identity} [label={_quoted(_label(node))}];"
        for port, operand in enumerate(node.inputs):
            yield f"{indent}{_quoted(prefix + operand)} -> {identity};"
            for index, candidate in enumerate(node.candidates):
                entry = candidate.graph.inputs[port].name
                inner = _quoted(f"{prefix}{node.name}/{index}/{entry}")
                yield f"{indent}{_quoted(prefix + operand)} -> {inner} [style=dashed];"
        for index, candidate in enumerate(node.candidates):
            inside = f"{prefix}{node.name}/{index}/"
            yield f"{indent}subgraph {_quoted(f'cluster {inside}')} {{ label={_quoted(show(candidate.key))};"
            yield from _dot_nodes(candidate.graph, inside, indent + "  ")
            yield f"{indent}}}"
            yield f"{indent}{_quoted(inside + candidate.graph.output)} -> {identity} [style=dashed];"


def _label(node: Node) -> str:
    settings = ", ".join(f"{name}={show(value)}" for name, value in node.attributes)
    return "\n".join(part for part in (node.name, f"{node.op}({settings})", str(node.type)) if part)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def to_json(graph: Graph) -> dict[str, Any]:
    """The graph as a JSON object: decisions, nodes in order, output; expressions are text."""
    return {
        "decisions": [
            {"path": d.path, "kind": d.kind, "options": [show(o) for o in d.options]} for d in graph.decisions
        ],
        "nodes": [_json_node(node) for node in graph.nodes],
        "output": graph.output,
    }


def _json_node(node: Node) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "name": node.name,
        "op": node.op,
        "inputs": list(node.inputs),
        "type": [show(size) if not isinstance(size, int) else size for size in node.type.dimensions],
        "attributes": {
            name: value if isinstance(value, int) else show(value) for name, value in node.attributes
        },
    }
    if node.unit:
        plain["unit"] = node.unit
    if node.selector is not None:
        plain["selector"] = show(node.selector)
    if node.candidates:
        plain["candidates"] = [
            {"key": show(c.key), "choices": {p: show(v) for p, v in c.choices}, "graph": to_json(c.graph)}
            for c in node.candidates
        ]
    return plain
