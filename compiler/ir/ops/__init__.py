"""The operators: attributes, shape rule, weights and MACs of each, in one table.

A shape rule is written once and serves both stages: its arithmetic goes through `apply`, so that it
holds for integers and for expressions over decisions. What a rule demands goes through `Demands`, which
looks at every assignment of the decisions involved.
"""

from __future__ import annotations

from compiler.ir.ops.attributes import KINDS, SIZE_CAP, AttributeProblem, complete
from compiler.ir.ops.operator import (
    Attribute,
    Attributes,
    Demands,
    Operator,
    ShapeRule,
    Shapes,
    TypeProblem,
    channel_axis,
)
from compiler.ir.ops.table import ACTIVATIONS, MERGES, OPERATORS, SECTIONS
from compiler.ir.ops.windows import pair

__all__ = [
    "ACTIVATIONS",
    "KINDS",
    "MERGES",
    "OPERATORS",
    "SECTIONS",
    "SIZE_CAP",
    "Attribute",
    "AttributeProblem",
    "Attributes",
    "Demands",
    "Operator",
    "ShapeRule",
    "Shapes",
    "TypeProblem",
    "channel_axis",
    "complete",
    "pair",
]
