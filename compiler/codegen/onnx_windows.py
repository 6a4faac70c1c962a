"""How ONNX's convolutions and pools are read.

ONNX pads each side of an image by itself. A convolution with more padding at the end than at the start is one with
the same padding on both, whose window has so many more rows of zeros at its start; with less, at its end. A pool
takes less of the end where its last window would not reach it, and `ceil_mode` where it reaches beyond.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from compiler.codegen.onnx_reader import Reader, Rule, attributes_of
from compiler.ir.expression import Value

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Axis:
    """A window along one axis of an image, with padding of its own before and after."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    ceil: bool = False

    @property
    def span(self) -> int:
        """Places from the window's first to its last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def extent(self) -> int:
        """Positions of the window; with `ceil` a last one may stand over the end, but starts before it."""
        left = self.size + self.before + self.after - self.span
        if not self.ceil:
            return left // self.stride + 1
        return min(-(-left // self.stride), (self.size + self.before - 1) // self.stride) + 1

    @property
    def whole(self) -> bool:
        """Whether it has one position, and sees everything there."""
        return self.extent == 1 and self.dilation == 1 and self.before + self.size <= self.span

    def even(self, ceil: bool = False) -> Axis:
        """The axis with the same padding after as before."""
        return Axis(self.size, self.kernel, self.stride, self.dilation, self.before, self.before, ceil)


def read_conv(reader: Reader, source: onnx.NodeProto) -> None:
    """A convolution, depthwise where each channel is a group; of a pixel, a linear layer."""
    operand, weight, bias = reader.operand(source), reader.weight(source, 1), reader.constant(source, 2)
    if weight.ndim != 4:
        raise reader.refuse(source, f"a kernel of {weight.ndim - 2} dimensions is not supported, 2 are")
    groups = attributes_of(source).get("group", 1)
    weights = {"weight": weight} | ({} if bias is None else {"bias": bias})
    if operand.form == "pixel":
        _pixel_conv(reader, source, weights, groups)
        return
    axes = _axes(reader, source, weight.shape[2:])
    channels = reader.sizes(operand)[0]
    depthwise = groups == channels == weight.shape[0] and (groups > 1 or reader.hint(source) == "depthwise")
    given: dict[str, Value] = {"bias": bias is not None}
    if depthwise and reader.hint(source) != "conv":
        _add_conv(reader, source, "depthwise", axes, weights, given)
    else:
        _add_conv(reader, source, "conv", axes, weights, {**given, "out": weight.shape[0], "groups": groups})


def _add_conv(
    reader: Reader,
    source: onnx.NodeProto,
    op: str,
    axes: Sequence[Axis],
    weights: Mapping[str, Array],
    given: Mapping[str, Value],
) -> None:
    """A convolution whose padding may be uneven: zeros in its weight stand for what is missing on one side."""
    evened = [_evened(reader, source, axis) for axis in axes]
    zeros = [(0, 0), (0, 0), *[added for _, added in evened]]
    weight = np.pad(weights["weight"], zeros) if any(map(any, zeros)) else weights["weight"]
    window = _window([axis for axis, _ in evened]) | {"dilation": axes[0].dilation}
    reader.add(
        source, op, [reader.operand(source, 0, "")], {**given, **window}, {**weights, "weight": weight}
    )


def _evened(reader: Reader, source: onnx.NodeProto, axis: Axis) -> tuple[Axis, tuple[int, int]]:
    """The axis with even padding, and the rows of zeros that its window has more at its start and end."""
    if axis.extent == axis.even().extent:
        return axis, (0, 0)
    more, rest = divmod(abs(axis.after - axis.before), axis.dilation)
    if rest:
        pads = f"pads of {axis.before} and {axis.after}"
        raise reader.refuse(
            source, f"{pads}, which dilation {axis.dilation} does not divide, are not supported"
        )
    padding = max(axis.before, axis.after)
    even = Axis(axis.size, axis.kernel + more, axis.stride, axis.dilation, padding, padding)
    return even, (more, 0) if axis.after > axis.before else (0, more)


def _pixel_conv(reader: Reader, source: onnx.NodeProto, weights: dict[str, Array], groups: int) -> None:
    """A 1x1 convolution of one pixel is a linear layer."""
    axes = _axes(reader, source, weights["weight"].shape[2:])
    if any((axis.kernel, axis.before, axis.after) != (1, 0, 0) for axis in axes) or groups != 1:
        raise reader.refuse(source, "after a global pool only an ungrouped 1x1 convolution is supported")
    weight = weights["weight"][:, :, 0, 0]
    given: dict[str, Value] = {"out": len(weight), "bias": "bias" in weights}
    reader.add(source, "linear", [reader.operand(source)], given, {**weights, "weight": weight}, form="pixel")


def read_conv_transpose(reader: Reader, source: onnx.NodeProto) -> None:
    """A transposed convolution; its weight has the operand's channels first."""
    operand, weight = reader.operand(source, 0, ""), reader.weight(source, 1)
    bias, extra = reader.constant(source, 2), attributes_of(source)
    if weight.ndim != 4:
        raise reader.refuse(source, f"a kernel of {weight.ndim - 2} dimensions is not supported, 2 are")
    axes = _axes(reader, source, weight.shape[2:])
    window, added = _window(axes), extra.get("output_padding", [0, 0])
    if len(window) > 3 or len(set(added)) != 1 or "output_shape" in extra:
        raise reader.refuse(
            source, "a window that is not square, and a stated output shape, are not supported"
        )
    if extra.get("auto_pad", b"NOTSET") != b"NOTSET" or any(axis.before != axis.after for axis in axes):
        raise reader.refuse(source, "padding that is not symmetric, and `auto_pad`, are not supported")
    groups = extra.get("group", 1)
    given: dict[str, Value] = {**window, "out": weight.shape[1] * groups, "groups": groups}
    given |= {"dilation": axes[0].dilation, "output_padding": added[0], "bias": bias is not None}
    weights = {"weight": weight} | ({} if bias is None else {"bias": bias})
    reader.add(source, "conv_transpose", [operand], given, weights)


def pool_rule(op: str) -> Rule:
    """The rule of a pool; one that sees a whole image is a global pool, but in models of ours."""

    def rule(reader: Reader, source: onnx.NodeProto) -> None:
        operand, axes = reader.operand(source, 0, ""), _axes(reader, source)
        if axes[0].dilation != 1 or len(source.output) != 1:
            raise reader.refuse(source, "dilation and indices are not supported")
        padded = any(axis.before or axis.after for axis in axes)
        if op == "avg_pool" and padded and attributes_of(source).get("count_include_pad", 0):
            _mean_with_padding(reader, source, axes)
        elif all(axis.whole for axis in axes) and not reader.ours:
            whole = "global_pool" if op == "avg_pool" else "global_max_pool"
            reader.add(source, whole, [operand], form="pixel")
        else:
            _add_pool(reader, source, op, axes)

    return rule


def _add_pool(reader: Reader, source: onnx.NodeProto, op: str, axes: Sequence[Axis]) -> None:
    """A pool; with more padding at one end than at the other, one with the same at both, and cut to size.

    Padding counts neither as a largest value nor in a mean, so that a window which sees more of it gives the same.
    """
    operand, ceil = reader.operand(source), _ceil_mode(reader, axes)
    if ceil is not None:
        reader.add(source, op, [operand], _window(axes) | ceil)
        return
    padded = [_padded(axis) for axis in axes]
    if None in padded:
        pads = [[axis.before, axis.after] for axis in axes]
        raise reader.refuse(
            source, f"pads of {pads[0]} down and {pads[1]} across are not supported for such a pool"
        )
    evened = [axis for axis in padded if axis is not None]
    reader.add(source, op, [operand], _window(evened), part="padded")
    first = [(even.before - axis.before) // axis.stride for even, axis in zip(evened, axes, strict=True)]
    last = [
        even.extent - skipped - axis.extent for even, skipped, axis in zip(evened, first, axes, strict=True)
    ]
    edges = {"top": first[0], "left": first[1], "bottom": last[0], "right": last[1]}
    reader.add(source, "crop", [reader.values[source.output[0]]], edges)


def _padded(axis: Axis) -> Axis | None:
    """The axis with so much padding at both ends that its windows are among those, at most half of the window."""
    for padding in range(axis.before, axis.kernel // 2 + 1, axis.stride):
        even = replace(axis, before=padding, after=padding, ceil=False)
        if even.extent - (padding - axis.before) // axis.stride >= axis.extent:
            return even
    return None


def _ceil_mode(reader: Reader, axes: Sequence[Axis]) -> dict[str, Value] | None:
    """Whether the last window reaches beyond the end, with the padding before at both ends; None where neither fits."""
    for ceil in (axes[0].ceil,) if reader.ours else (False, True):
        if all(axis.even(ceil).extent == axis.extent for axis in axes):
            return {"ceil_mode": True} if ceil else {}
    return None


def _mean_with_padding(reader: Reader, source: onnx.NodeProto, axes: Sequence[Axis]) -> None:
    """An average in which padding counts as zeros: a depthwise convolution with one weight."""
    if any(axis.ceil and axis.extent != replace(axis, ceil=False).extent for axis in axes):
        raise reader.refuse(source, "padding that counts in the average is not supported with `ceil_mode`")
    shape = (reader.sizes(reader.operand(source))[0], 1, *[axis.kernel for axis in axes])
    weight = np.full(shape, 1 / math.prod(shape[2:]), np.float32)
    _add_conv(reader, source, "depthwise", axes, {"weight": weight}, {})


def _axes(reader: Reader, source: onnx.NodeProto, shape: tuple[int, ...] = ()) -> tuple[Axis, Axis]:
    """The window of a node down the columns and along the rows of an image.

    Raises:
        OnnxProblem: it has none there, or dilations that differ.
    """
    given, sizes = attributes_of(source), reader.image_sizes(reader.operand(source))
    kernel, strides = given.get("kernel_shape", shape), given.get("strides", [1, 1])
    dilations, pads = given.get("dilations", [1, 1]), given.get("pads", [0] * 4)
    if [*map(len, (sizes, kernel, strides, dilations, pads))] != [2, 2, 2, 2, 4] or min(
        *strides, *dilations
    ) < 1:
        raise reader.refuse(source, "only windows over images are supported")
    if dilations[0] != dilations[1]:
        raise reader.refuse(source, f"dilations {[*dilations]} that differ are not supported")
    ceil, padding = bool(given.get("ceil_mode", 0)), given.get("auto_pad", b"NOTSET")
    axes = [
        Axis(sizes[at], kernel[at], strides[at], dilations[at], pads[at], pads[at + 2], ceil) for at in (0, 1)
    ]
    if padding in (b"SAME_UPPER", b"SAME_LOWER"):
        axes = [_same(axis, at_end=padding == b"SAME_UPPER") for axis in axes]
    return axes[0], axes[1]


def _same(axis: Axis, at_end: bool) -> Axis:
    """The padding with which there are `size / stride` positions, rounded up; what is odd goes to one side."""
    missing = max((-(-axis.size // axis.stride) - 1) * axis.stride + axis.span - axis.size, 0)
    less, more = missing // 2, missing - missing // 2
    before, after = (less, more) if at_end else (more, less)
    return Axis(axis.size, axis.kernel, axis.stride, axis.dilation, before, after)


def _window(axes: Sequence[Axis]) -> dict[str, Value]:
    """The attributes of a window with even padding, and its widths where it is no square."""
    down, across = ({"kernel": a.kernel, "stride": a.stride, "padding": a.before} for a in axes)
    widths = {} if down == across else {f"{name}_width": value for name, value in across.items()}
    return {**down, **widths}
