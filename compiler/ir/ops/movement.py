"""Operators that move elements and compute little or nothing: parts, orders, sizes and ranks of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import reduce

from compiler.ir.enumeration import settle
from compiler.ir.expression import Value, apply, show
from compiler.ir.ops.operator import (
    Attributes,
    Demands,
    ShapeRule,
    TypeProblem,
    channel_axis,
    image,
    token_sizes,
)
from compiler.ir.types import TensorType


def _with_channels(operand: TensorType, channels: Value) -> tuple[Value, ...]:
    axis = channel_axis(len(operand.dimensions))
    return (*operand.dimensions[:axis], channels, *operand.dimensions[axis + 1 :])


def part_of_channels(
    operands: Sequence[TensorType], attributes: Attributes, demands: Demands
) -> tuple[Value, ...]:
    """The operand's type with `stop - start` channels."""
    start, stop = attributes["start"], attributes["stop"]
    what = f"`slice` from {show(start)} to {show(stop)} of {operands[0]}"
    demands.require(apply("<", start, stop), f"{what} is empty: `stop` is above `start`")
    fits = apply("<=", stop, operands[0].channels)
    demands.require(fits, f"{what} goes beyond its {show(operands[0].channels)} channels")
    return _with_channels(operands[0], apply("-", stop, start))


def crop(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """[C, H, W] -> [C, H - top - bottom, W - left - right]."""
    channels, height, width = image(operands[0], "crop")
    rows = settle(apply("-", apply("-", height, attributes["top"]), attributes["bottom"]))
    columns = settle(apply("-", apply("-", width, attributes["left"]), attributes["right"]))
    for extent in (rows, columns):
        demands.require(apply(">=", extent, 1), f"`crop` leaves nothing of {operands[0]}")
    return (channels, rows, columns)


def channel_shuffle(
    operands: Sequence[TensorType], attributes: Attributes, demands: Demands
) -> tuple[Value, ...]:
    """The operand's type."""
    groups, channels = attributes["groups"], operands[0].channels
    message = f"`channel_shuffle` with {show(groups)} groups does not divide {show(channels)} channels"
    demands.divides(groups, channels, message)
    return operands[0].dimensions


def resize(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """[C, H, W] -> [C, floor(H scale), floor(W scale)]."""
    channels, *sizes = image(operands[0], "resize")
    # `size // (1 / scale)` is floor(size * scale), exactly, for a scale that depends on a decision, too.
    step = apply("/", 1, attributes["scale"])
    extents = [settle(apply("//", size, step)) for size in sizes]
    for extent in extents:
        message = f"`resize` by {show(attributes['scale'])} leaves nothing of {operands[0]}"
        demands.require(apply(">=", extent, 1), message)
    return (channels, *extents)


def scale_factor(scale: int | Fraction, size: int) -> float:
    """`scale` as the float whose product with `size`, rounded down, is floor(size scale): 49 (1 / 49) is not 1."""
    factor = float(scale)
    return factor if int(size * factor) >= int(size * scale) else math.nextafter(factor, math.inf)


def flatten(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """[C, H, W] -> [C H W], [T, C] -> [T C]."""
    return (_product(operands[0].dimensions),)


def tokens(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """[C, H, W] -> [H W, C]."""
    channels, height, width = image(operands[0], "tokens")
    return (apply("*", height, width), channels)


def to_image(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """[T, C] -> [C, height, width]."""
    count, channels = token_sizes(operands[0], "image")
    height, width = attributes["height"], attributes["width"]
    message = f"`image` of {show(height)} rows of {show(width)} does not hold the tokens of {operands[0]}"
    demands.equal(count, settle(apply("*", height, width)), message)
    return (channels, height, width)


def global_pool(name: str) -> ShapeRule:
    """[C, H, W] -> [C], [T, C] -> [C]."""

    def rule(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
        if len(operands[0].dimensions) == 1:
            raise TypeProblem(
                f"`{name}` takes [channels, height, width] or [tokens, channels], not {operands[0]}"
            )
        return (operands[0].channels,)

    return rule


def _product(sizes: Sequence[Value]) -> Value:
    return reduce(lambda left, right: apply("*", left, right), sizes)
