"""How each operator is written as ONNX nodes, in one table.

Where an operator takes several, all but the last are parts, and the last has the value's name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from compiler.codegen.onnx_writer import Writer
from compiler.ir.graph import Node
from compiler.ir.ops import channel_axis, pair

Emitter = Callable[[Writer, Node], None]

# Places of the dimensions of a batch of images, and of a batch of tokens or heads.
_TO_LAST, _FROM_LAST = [0, 2, 3, 1], [0, 3, 1, 2]
_TURN, _SWAP_INNER, _SWAP_AND_TURN = [0, 2, 1], [0, 2, 1, 3], [0, 2, 3, 1]


def _int(node: Node, name: str) -> int:
    value = node.settings[name]
    assert isinstance(value, int)
    return value


def _number(node: Node, name: str) -> float:
    value = node.settings[name]
    assert isinstance(value, int | Fraction)
    return float(value)


def _axis(node: Node) -> int:
    """The dimension of a batch that holds the channels."""
    return 1 + channel_axis(len(node.type.dimensions))


def _window(node: Node) -> dict[str, list[int]]:
    return {
        "kernel_shape": [*pair(node.settings, "kernel")],
        "strides": [*pair(node.settings, "stride")],
        "pads": [*pair(node.settings, "padding")] * 2,
    }


def _conv(writer: Writer, node: Node) -> None:
    groups = writer.sizes(node)[0] if node.op == "depthwise" else _int(node, "groups")
    writer.emit(
        node,
        "Conv",
        [node.inputs[0], *writer.weights(node)],
        **_window(node),
        dilations=[_int(node, "dilation")] * 2,
        group=groups,
    )


def _conv_transpose(writer: Writer, node: Node) -> None:
    writer.emit(
        node,
        "ConvTranspose",
        [node.inputs[0], *writer.weights(node)],
        **_window(node),
        output_padding=[_int(node, "output_padding")] * 2,
        dilations=[_int(node, "dilation")] * 2,
        group=_int(node, "groups"),
    )


def _linear(writer: Writer, node: Node) -> None:
    if len(node.type.dimensions) == 1:
        writer.emit(node, "Gemm", [node.inputs[0], *writer.weights(node)], transB=1)
        return
    operands = [node.inputs[0], writer.weight(node, "weight", transpose=True)]
    if not node.settings["bias"]:
        writer.emit(node, "MatMul", operands)
        return
    product = writer.part(node, "MatMul", operands)
    writer.emit(node, "Add", [product, writer.weight(node, "bias")])


def _layer_norm(writer: Writer, node: Node) -> None:
    weights = [writer.weight(node, "weight"), writer.weight(node, "bias")]
    given: dict[str, Any] = {"axis": -1, "epsilon": _number(node, "eps")}
    if len(node.type.dimensions) < 3:
        writer.emit(node, "LayerNormalization", [node.inputs[0], *weights], **given)
        return
    turned = writer.part(node, "Transpose", node.inputs, perm=_TO_LAST)
    normed = writer.part(node, "LayerNormalization", [turned, *weights], **given)
    writer.emit(node, "Transpose", [normed], perm=_FROM_LAST)


def _plain(kind: str, **attributes: float) -> Emitter:
    return lambda writer, node: writer.emit(node, kind, node.inputs, **attributes)


def _relu6(writer: Writer, node: Node) -> None:
    bounds = [writer.constant(f"onepath/{value}", np.array(value, np.float32)) for value in (0, 6)]
    writer.emit(node, "Clip", [node.inputs[0], *bounds])


def _swish(writer: Writer, node: Node) -> None:
    writer.emit(node, "Mul", [node.inputs[0], writer.part(node, "Sigmoid", node.inputs)])


def _leaky_relu(writer: Writer, node: Node) -> None:
    writer.emit(node, "LeakyRelu", node.inputs, alpha=_number(node, "slope"))


def _softmax(writer: Writer, node: Node) -> None:
    writer.emit(node, "Softmax", node.inputs, axis=_axis(node))


def _zero(writer: Writer, node: Node) -> None:
    writer.emit(node, "Mul", [node.inputs[0], writer.constant("onepath/0", np.array(0, np.float32))])


def _pool(kind: str, **attributes: int) -> Emitter:
    def emit(writer: Writer, node: Node) -> None:
        ceil = {"ceil_mode": 1} if node.settings.get("ceil_mode") else {}
        writer.emit(node, kind, node.inputs, **_window(node), **attributes, **ceil)

    return emit


def _global(images: str, tokens: str) -> Emitter:
    def emit(writer: Writer, node: Node) -> None:
        if len(writer.sizes(node)) == 3:
            writer.emit(node, "Flatten", [writer.part(node, images, node.inputs)], axis=1)
        else:
            writer.emit(node, tokens, [node.inputs[0], writer.integers(node, "axes", 1)], keepdims=0)

    return emit


def _cut(writer: Writer, node: Node, source: str, **places: list[int]) -> None:
    """A `Slice`, its starts, stops, axes and steps in that order."""
    inputs = [writer.integers(node, name, *values) for name, values in places.items()]
    writer.emit(node, "Slice", [source, *inputs])


def _slice(writer: Writer, node: Node) -> None:
    start, stop = _int(node, "start"), _int(node, "stop")
    _cut(writer, node, node.inputs[0], starts=[start], stops=[stop], axes=[_axis(node)])


def _crop(writer: Writer, node: Node) -> None:
    _, height, width = writer.sizes(node)
    starts = [_int(node, "top"), _int(node, "left")]
    stops = [height - _int(node, "bottom"), width - _int(node, "right")]
    _cut(writer, node, node.inputs[0], starts=starts, stops=stops, axes=[2, 3])


def _channel_shuffle(writer: Writer, node: Node) -> None:
    groups, sizes, axis = _int(node, "groups"), [1, *node.type.sizes], _axis(node)
    grouped = [*sizes[:axis], groups, sizes[axis] // groups, *sizes[axis + 1 :]]
    order = [*range(len(grouped))]
    order[axis], order[axis + 1] = axis + 1, axis
    split = writer.part(node, "Reshape", [node.inputs[0], writer.integers(node, "groups", *grouped)])
    mixed = writer.part(node, "Transpose", [split], perm=order)
    writer.emit(node, "Reshape", [mixed, writer.integers(node, "sizes", *sizes)])


def _resize(writer: Writer, node: Node) -> None:
    """Bilinear in one step; nearest by a whole factor, of which every so many rows and columns are kept.

    ONNX Runtime finds the nearest place in floats, and so takes another now and then where the factor is broken.
    """
    scale = Fraction(node.settings["scale"])  # type: ignore[arg-type]
    if node.settings["bilinear"]:
        factors = [scale_factor_32(scale, size) for size in writer.sizes(node)[1:]]
        modes: dict[str, Any] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        writer.emit(node, "Resize", [node.inputs[0], "", _factors(writer, node, factors)], **modes)
        return
    modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    inputs = [node.inputs[0], "", _factors(writer, node, [scale.numerator] * 2)]
    if scale.denominator == 1:
        writer.emit(node, "Resize", inputs, **modes)
        return
    value = node.inputs[0] if scale.numerator == 1 else writer.part(node, "Resize", inputs, **modes)
    step = scale.denominator
    stops = [(size - 1) * step + 1 for size in node.type.sizes[1:]]
    _cut(writer, node, value, starts=[0, 0], stops=stops, axes=[2, 3], steps=[step, step])


def _factors(writer: Writer, node: Node, factors: list[Any]) -> str:
    return writer.constant(f"{node.name}/scales", np.array([1, 1, *factors], np.float32))


def scale_factor_32(scale: Fraction, size: int) -> np.float32:
    """`scale` as the float32 whose product with `size`, rounded down, is floor(size scale)."""
    factor = np.float32(float(scale))
    return (
        factor
        if int(np.float32(size) * factor) >= int(size * scale)
        else np.nextafter(factor, np.float32(np.inf))
    )


def _tokens(writer: Writer, node: Node) -> None:
    count, channels = node.type.sizes
    columns = writer.part(
        node, "Reshape", [node.inputs[0], writer.integers(node, "sizes", 1, channels, count)]
    )
    writer.emit(node, "Transpose", [columns], perm=_TURN)


def _image(writer: Writer, node: Node) -> None:
    turned = writer.part(node, "Transpose", node.inputs, perm=_TURN)
    writer.emit(node, "Reshape", [turned, writer.integers(node, "sizes", 1, *node.type.sizes)])


def _attention(writer: Writer, node: Node) -> None:
    heads = _int(node, "heads")
    split = []
    for index, name in enumerate(node.inputs):
        count, channels = writer.sizes(node, index)
        shape = writer.integers(node, f"heads{index}", 1, count, heads, channels // heads)
        parted = writer.part(node, "Reshape", [name, shape], index)
        order = _SWAP_AND_TURN if index == 1 else _SWAP_INNER
        split.append(writer.part(node, "Transpose", [parted], index, perm=order))
    scale = np.array(1 / math.sqrt(writer.sizes(node)[1] // heads), np.float32)
    scores = writer.part(node, "MatMul", split[:2], "0")
    scores = writer.part(node, "Mul", [scores, writer.constant(f"{node.name}/scale", scale)])
    weights = writer.part(node, "Softmax", [scores], axis=3)
    mixed = writer.part(node, "MatMul", [weights, split[2]], "1")
    joined = writer.part(node, "Transpose", [mixed], "3", perm=_SWAP_INNER)
    writer.emit(node, "Reshape", [joined, writer.integers(node, "sizes", 1, *node.type.sizes)])


def _class_token(writer: Writer, node: Node) -> None:
    token = writer.shaped_weight(node, 1, 1, node.type.sizes[1])
    writer.emit(node, "Concat", [token, node.inputs[0]], axis=1)


def _position_embedding(writer: Writer, node: Node) -> None:
    writer.emit(node, "Add", [node.inputs[0], writer.shaped_weight(node, 1, *node.type.sizes)])


def _token(writer: Writer, node: Node) -> None:
    place = writer.number(node, "index", _int(node, "index"))
    writer.emit(node, "Gather", [node.inputs[0], place], axis=1)


def _merge(pair_kind: str, many: str) -> Emitter:
    """Two operands take one node; one, or more than two, a variadic node."""

    def emit(writer: Writer, node: Node) -> None:
        writer.emit(node, pair_kind if len(node.inputs) == 2 else many, node.inputs)

    return emit


def _mul(writer: Writer, node: Node) -> None:
    """A chain from the left; a number for each channel of images gets their rank first."""
    if len(node.inputs) == 1:
        writer.emit(node, "Identity", node.inputs)
        return
    operands = [_spread(writer, node, index) for index in range(len(node.inputs))]
    product = operands[0]
    for index, operand in enumerate(operands[1:-1], start=1):
        product = writer.part(node, "Mul", [product, operand], index)
    writer.emit(node, "Mul", [product, operands[-1]])


def _spread(writer: Writer, node: Node, index: int) -> str:
    if len(writer.sizes(node, index)) > 1 or len(node.type.dimensions) < 3:
        return node.inputs[index]
    return writer.part(node, "Unsqueeze", [node.inputs[index], writer.integers(node, "places", 2, 3)], index)


def _concat(writer: Writer, node: Node) -> None:
    writer.emit(node, "Concat", node.inputs, axis=_axis(node))


EMITTERS: Mapping[str, Emitter] = {
    "conv": _conv,
    "depthwise": _conv,
    "conv_transpose": _conv_transpose,
    "linear": _linear,
    "layer_norm": _layer_norm,
    "relu": _plain("Relu"),
    "relu6": _relu6,
    "sigmoid": _plain("Sigmoid"),
    "hsigmoid": _plain("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hswish": _plain("HardSwish"),
    "swish": _swish,
    "gelu": _plain("Gelu"),
    "tanh": _plain("Tanh"),
    "elu": _plain("Elu"),
    "leaky_relu": _leaky_relu,
    "softmax": _softmax,
    "identity": _plain("Identity"),
    "zero": _zero,
    "max_pool": _pool("MaxPool"),
    "avg_pool": _pool("AveragePool", count_include_pad=0),
    "global_pool": _global("GlobalAveragePool", "ReduceMean"),
    "global_max_pool": _global("GlobalMaxPool", "ReduceMax"),
    "slice": _slice,
    "crop": _crop,
    "channel_shuffle": _channel_shuffle,
    "resize": _resize,
    "flatten": _plain("Flatten", axis=1),
    "tokens": _tokens,
    "image": _image,
    "attention": _attention,
    "matmul": _plain("MatMul"),
    "class_token": _class_token,
    "position_embedding": _position_embedding,
    "token": _token,
    "add": _merge("Add", "Sum"),
    "mul": _mul,
    "concat": _concat,
}
"""Every operator of a network that is ready for inference."""
