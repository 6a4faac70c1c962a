"""Operators that slide a window over an image: convolutions and pools.

A window is square unless the call says more: `kernel_width`, `stride_width` and `padding_width` are the
window's along a row, `kernel`, `stride` and `padding` then those along a column. Attributes of square
windows leave them out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from compiler.ir.enumeration import settle
from compiler.ir.expression import Value, apply, show
from compiler.ir.ops.operator import Attribute, Attributes, Demands, ShapeRule, Shapes, image, integer
from compiler.ir.types import Dimensions, TensorType


def along_width(attributes: Attributes, name: str) -> Value:
    """`kernel`, `stride` or `padding` of a window along a row."""
    return attributes.get(f"{name}_width", attributes[name])


def pair(attributes: Attributes, name: str) -> tuple[int, int]:
    """`kernel`, `stride` or `padding` of a concrete window, down a column and along a row."""
    down, across = attributes[name], along_width(attributes, name)
    assert isinstance(down, int), f"{name} is not concrete"
    assert isinstance(across, int), f"{name}_width is not concrete"
    return down, across


def same_padding(name: str, given: Attributes) -> Value:
    """The padding that keeps the size at stride 1: `dilation * (kernel - 1) / 2`.

    Raises:
        TypeProblem: the kernel is even, so that no such padding exists and the call must state one.
    """
    return _same_padding(name, given["kernel"], given.get("dilation", 1), "padding")


def same_padding_width(name: str, given: Attributes) -> Value | None:
    """The same along a row, where the window has a width of its own.

    Raises:
        TypeProblem: the width is even, so that no such padding exists and the call must state one.
    """
    if "kernel_width" not in given:
        return None
    return _same_padding(name, given["kernel_width"], given.get("dilation", 1), "padding_width")


def _same_padding(name: str, kernel: Value, dilation: Value, parameter: str) -> Value:
    if name.endswith("_pool") and isinstance(kernel, int) and kernel % 2 == 0:
        return 0
    span = apply("*", dilation, apply("-", kernel, 1))
    message = f"`{name}` with an even kernel has no padding that keeps the size: state `{parameter}`"
    Demands().divides(2, span, message)
    return settle(apply("//", span, 2))


def scaling_padding(name: str, given: Attributes) -> Value:
    """The padding with which a transposed convolution gives exactly `stride` times its operand's size.

    Raises:
        TypeProblem: there is none, and the call must state one.
    """
    stride, kernel = given.get("stride", 1), given["kernel"]
    window = apply("+", apply("*", given.get("dilation", 1), apply("-", kernel, 1)), 1)
    surplus = apply("-", apply("+", window, given.get("output_padding", 0)), stride)
    message = (
        f"`{name}` with kernel {show(kernel)} and stride {show(stride)} has no padding that gives "
        f"{show(stride)} times the size: state `padding` or `output_padding`"
    )
    Demands().divides(2, surplus, message)
    Demands().require(apply(">=", surplus, 0), message)
    return settle(apply("//", surplus, 2))


def _span(kernel: Value, dilation: Value) -> Value:
    return apply("+", apply("*", dilation, apply("-", kernel, 1)), 1)


def _extent(size: Value, dilation: Value, ceil: Value, kernel: Value, stride: Value, padding: Value) -> Value:
    """Positions of a window; rounded up, a last one may stand over the end, but starts before it (as in PyTorch)."""
    padded = apply("+", size, apply("*", 2, padding))
    left = apply("-", padded, _span(kernel, dilation))
    down = apply("//", left, stride)
    if ceil is not False:
        last = apply("//", apply("-", apply("+", size, padding), 1), stride)
        up = apply("//", apply("+", left, apply("-", stride, 1)), stride)
        down = apply("if", ceil, apply("min", up, last), down)
    return apply("+", down, 1)


def _window(operand: TensorType, attributes: Attributes, demands: Demands, name: str) -> tuple[Value, Value]:
    _, height, width = image(operand, name)
    names = ("kernel", "stride", "padding")
    shared = attributes.get("dilation", 1), attributes.get("ceil_mode", False)
    down = _extent(height, *shared, *[attributes[each] for each in names])
    across = _extent(width, *shared, *[along_width(attributes, each) for each in names])
    extents = settle(down), settle(across)
    for extent in extents:
        demands.require(
            apply(">=", extent, 1), f"the kernel of `{name}` does not fit into {operand} and its padding"
        )
    return extents


def _groups_divide(channels: Value, attributes: Attributes, demands: Demands, name: str) -> None:
    for size in (channels, attributes["out"]):
        message = f"`{name}` with {show(attributes['groups'])} groups does not divide {show(size)} channels"
        demands.divides(attributes["groups"], size, message)


def conv(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """[C, H, W] -> [out, H', W']."""
    _groups_divide(image(operands[0], "conv")[0], attributes, demands, "conv")
    return (attributes["out"], *_window(operands[0], attributes, demands, "conv"))


def depthwise(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """[C, H, W] -> [C, H', W']."""
    channels, _, _ = image(operands[0], "depthwise")
    return (channels, *_window(operands[0], attributes, demands, "depthwise"))


def conv_transpose(
    operands: Sequence[TensorType], attributes: Attributes, demands: Demands
) -> tuple[Value, ...]:
    """[C, H, W] -> [out, H', W'], by PyTorch's formula of `ConvTranspose2d`."""
    channels, height, width = image(operands[0], "conv_transpose")
    _groups_divide(channels, attributes, demands, "conv_transpose")
    extra, stride, dilation = (attributes[name] for name in ("output_padding", "stride", "dilation"))
    message = "the output padding of `conv_transpose` is less than its stride or its dilation"
    demands.require(apply("<", extra, apply("max", stride, dilation)), message)
    window = apply("+", _span(attributes["kernel"], dilation), extra)
    added = apply("-", window, apply("*", 2, attributes["padding"]))
    extents = [settle(apply("+", apply("*", apply("-", size, 1), stride), added)) for size in (height, width)]
    for extent in extents:
        message = f"the padding of `conv_transpose` leaves nothing of {operands[0]}"
        demands.require(apply(">=", extent, 1), message)
    return (attributes["out"], *extents)


def pool(name: str) -> ShapeRule:
    """[C, H, W] -> [C, H', W']."""

    def rule(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
        channels, _, _ = image(operands[0], name)
        axes = [(attributes["padding"], attributes["kernel"])]
        axes.append((along_width(attributes, "padding"), along_width(attributes, "kernel")))
        for padding, kernel in axes:
            half = apply("<=", apply("*", 2, padding), kernel)
            demands.require(half, f"the padding of `{name}` is at most half its kernel")
        return (channels, *_window(operands[0], attributes, demands, name))

    return rule


def conv_weights(operand: Dimensions, attributes: Attributes) -> Shapes:
    """PyTorch's `Conv2d`: weight [out, C / groups, kernel, kernel], bias [out]."""
    out = integer(attributes, "out")
    weight = (out, operand[0] // integer(attributes, "groups"), *pair(attributes, "kernel"))
    return {"weight": weight, "bias": (out,)} if attributes["bias"] else {"weight": weight}


def conv_transpose_weights(operand: Dimensions, attributes: Attributes) -> Shapes:
    """PyTorch's `ConvTranspose2d`: weight [C, out / groups, kernel, kernel], bias [out]."""
    out = integer(attributes, "out")
    weight = (operand[0], out // integer(attributes, "groups"), *pair(attributes, "kernel"))
    return {"weight": weight, "bias": (out,)} if attributes["bias"] else {"weight": weight}


def depthwise_weights(operand: Dimensions, attributes: Attributes) -> Shapes:
    """Weight [C, 1, kernel, kernel], bias [C]."""
    weight = (operand[0], 1, *pair(attributes, "kernel"))
    return {"weight": weight, "bias": operand[:1]} if attributes["bias"] else {"weight": weight}


def conv_macs(operands: Sequence[Dimensions], result: Dimensions, attributes: Attributes) -> int:
    """A window of every channel of the group for each element of the result."""
    channels = operands[0][0] // integer(attributes, "groups")
    return math.prod(result) * channels * math.prod(pair(attributes, "kernel"))


def conv_transpose_macs(operands: Sequence[Dimensions], result: Dimensions, attributes: Attributes) -> int:
    """A window of every channel of the group for each element of the operand."""
    out = result[0] // integer(attributes, "groups")
    return math.prod(operands[0]) * out * math.prod(pair(attributes, "kernel"))


def depthwise_macs(operands: Sequence[Dimensions], result: Dimensions, attributes: Attributes) -> int:
    """A window for each element of the result."""
    return math.prod(result) * math.prod(pair(attributes, "kernel"))


OUT = Attribute("out", "size", required=True)
KERNEL = Attribute("kernel", "size", required=True)
STRIDE = Attribute("stride", "size", 1)
PADDING = Attribute("padding", "count", compute=same_padding)
SCALING_PADDING = Attribute("padding", "count", compute=scaling_padding)
DILATION = Attribute("dilation", "size", 1)
GROUPS = Attribute("groups", "size", 1)
WIDTHS = (
    Attribute("kernel_width", "size", unlike="kernel"),
    Attribute("stride_width", "size", unlike="stride"),
    Attribute("padding_width", "count", compute=same_padding_width, unlike="padding"),
)
"""A window's own width, last in order, so that a square window is what comes first to mind."""
CEIL_MODE = Attribute("ceil_mode", "flag")
