"""Remove what changes nothing: identities, zeros that are added, merges of one value.

`zero` keeps its type and stays a real operator; only an `add` may drop it, and only within one decision
unit: a sum of two decisions keeps the kernels that both were priced with.
"""

from __future__ import annotations

from dataclasses import replace

from compiler.ir.graph import Graph, GraphBuilder


def simplify(graph: Graph) -> Graph:
    """The same function of a concrete graph with fewer operators."""
    builder = GraphBuilder()
    alias: dict[str, str] = {}
    for node in graph.nodes:
        operands = tuple(alias[operand] for operand in node.inputs)
        if node.op == "add":
            dropped = [o for o in operands if builder[o].op == "zero" and builder[o].unit == node.unit]
            kept = tuple(operand for operand in operands if operand not in dropped)
            operands = kept or operands[:1]
        if node.op == "identity" or (node.op in ("add", "mul", "concat") and len(operands) == 1):
            alias[node.name] = operands[0]
        else:
            # Making a node anew takes longer than all else here, and most stay as they are.
            kept_as_is = operands == node.inputs
            alias[node.name] = builder.add(node if kept_as_is else replace(node, inputs=operands))
    return builder.build(alias[graph.output])
