"""The largest network of a space: that of the most multiply-accumulates."""

from __future__ import annotations

from compiler.architecture import Architecture, completed
from compiler.cost import cost
from compiler.expected import path_decisions
from compiler.ir.expression import Literal
from compiler.ir.graph import Network, SpaceGraph
from compiler.passes.pipeline import run_passes


def largest(space: SpaceGraph, flat: SpaceGraph | None = None) -> Architecture:
    """The architecture with the most MACs, exactly: in `flat`, its flattened form, decisions add up on their own.

    Of candidates alike in MACs the first is taken, and of decisions without effect the first option.

    Raises:
        CannotFlatten, ValueError: the space has no supernet.
    """
    graph = (flat or run_passes(space)).graph
    macs = {
        node.name: [cost(Network("", candidate.graph, {})).macs for candidate in node.candidates]
        for node in graph.nodes
        if node.candidates
    }
    choices: dict[str, Literal] = {}
    for decision in path_decisions(graph):
        totals = [sum(each) for each in zip(*[macs[member] for member in decision.members], strict=True)]
        choices |= dict(decision.choices[totals.index(max(totals))])
    return completed(space, choices)
