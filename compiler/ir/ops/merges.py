"""Operators of one or more operands of like types."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir.expression import Value, apply
from compiler.ir.ops.operator import Attributes, Demands, channel_axis
from compiler.ir.types import TensorType


def add(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """The type of all of them."""
    first = operands[0]
    for other in operands[1:]:
        demands.alike(first, other, f"`add` takes tensors of one type, not {first} and {other}")
    return first.dimensions


def mul(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """The largest type; others may be its channels alone, or its places with one channel."""
    whole = max(operands, key=_extent)
    for other in operands:
        if other is not whole:
            _demand_broadcast(whole, other, demands)
    return whole.dimensions


def _extent(operand: TensorType) -> tuple[int, bool]:
    return len(operand.dimensions), operand.channels != 1


def _demand_broadcast(whole: TensorType, other: TensorType, demands: Demands) -> None:
    message = (
        f"`mul` takes tensors of one type, or one and a factor for each of its channels or places, "
        f"not {whole} and {other}"
    )
    if len(other.dimensions) == 1 < len(whole.dimensions):
        demands.equal(whole.channels, other.channels, message)
        return
    demands.equal(len(whole.dimensions), len(other.dimensions), message)
    axis = channel_axis(len(whole.dimensions))
    for index, (one, size) in enumerate(zip(whole.dimensions, other.dimensions, strict=True)):
        if index != axis or size != 1:
            demands.equal(one, size, message)


def concat(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """The type of all of them, with the channels summed."""
    first = operands[0]
    axis = channel_axis(len(first.dimensions))
    total: Value = 0
    for other in operands:
        message = f"`concat` takes tensors that differ in channels only, not {first} and {other}"
        demands.equal(len(first.dimensions), len(other.dimensions), message)
        for index, (left, right) in enumerate(zip(first.dimensions, other.dimensions, strict=True)):
            if index != axis:
                demands.equal(left, right, message)
        total = apply("+", total, other.dimensions[axis])
    return (*first.dimensions[:axis], total, *first.dimensions[axis + 1 :])
