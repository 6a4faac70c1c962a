"""Linear layers, norms and what else trains a number or a few for each channel; softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence

from compiler.ir.expression import Value
from compiler.ir.ops.operator import Attributes, Demands, Shapes, TypeProblem, channel_axis, integer
from compiler.ir.types import Dimensions, TensorType


def linear(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """[C] -> [out], [T, C] -> [T, out]."""
    if len(operands[0].dimensions) == 3:
        message = f"`linear` takes [channels] or [tokens, channels], not {operands[0]}: pool or flatten first"
        raise TypeProblem(message)
    return (*operands[0].dimensions[:-1], attributes["out"])


def linear_weights(operand: Dimensions, attributes: Attributes) -> Shapes:
    """Weight [out, C], bias [out]."""
    out = integer(attributes, "out")
    weight = (out, operand[-1])
    return {"weight": weight, "bias": (out,)} if attributes["bias"] else {"weight": weight}


def linear_macs(operands: Sequence[Dimensions], result: Dimensions, attributes: Attributes) -> int:
    """The channels of the operand for each element of the result."""
    return math.prod(result) * operands[0][-1]


def norm_weights(operand: Dimensions, attributes: Attributes) -> Shapes:
    """A scale and a shift for each channel."""
    channels = (operand[channel_axis(len(operand))],)
    return {"weight": channels, "bias": channels}


def norm_statistics(operand: Dimensions, attributes: Attributes) -> Shapes:
    """The running mean and variance of each channel."""
    channels = (operand[channel_axis(len(operand))],)
    return {"running_mean": channels, "running_var": channels}


def factor_weights(operand: Dimensions, attributes: Attributes) -> Shapes:
    """A factor for each channel."""
    return {"weight": (operand[channel_axis(len(operand))],)}
