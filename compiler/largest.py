"""The largest network of a space: that of the most multiply-accumulates."""

from __future__ import annotations

from compiler.architecture import Architecture, completed
from compiler.ir.graph import SpaceGraph
from compiler.passes.pipeline import run_passes
from compiler.path_costs import size_costs
from compiler.path_decisions import choices_of, path_decisions


def largest(space: SpaceGraph, flat: SpaceGraph | None = None) -> Architecture:
    """The architecture with the most MACs, exactly: in `flat`, its flattened form, decisions add up on their own.

    Of candidates alike in MACs the first is taken, and of decisions without effect the first option.

    Raises:
        CannotFlatten, ValueError: the space has no supernet.
    """
    flat = flat or run_passes(space)
    decisions = path_decisions(flat.graph)
    return completed(space, choices_of(decisions, size_costs(flat, decisions)["macs"].most))
