"""The operator table: attributes, shape rule, weights and MACs of every operator, on one page."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from compiler.ir.ops import attention, layers, merges, movement, windows
from compiler.ir.ops.operator import Attribute, Operator, same
from compiler.ir.ops.windows import (
    CEIL_MODE,
    DILATION,
    GROUPS,
    KERNEL,
    OUT,
    PADDING,
    SCALING_PADDING,
    STRIDE,
    WIDTHS,
)

ACTIVATIONS = ("relu", "relu6", "sigmoid", "hsigmoid", "hswish", "swish", "gelu", "tanh", "elu")
"""Functions of one element without a parameter."""

_NO_BIAS = Attribute("bias", "flag", False)
_BIAS = Attribute("bias", "flag", True)
_EPS = Attribute("eps", "ratio", Fraction(1, 100_000))

_CONVOLUTIONS = (
    Operator(
        "conv",
        windows.conv,
        (OUT, KERNEL, STRIDE, PADDING, DILATION, GROUPS, _NO_BIAS, *WIDTHS),
        weights=windows.conv_weights,
        macs=windows.conv_macs,
    ),
    Operator(
        "depthwise",
        windows.depthwise,
        (KERNEL, STRIDE, PADDING, DILATION, _NO_BIAS, *WIDTHS),
        weights=windows.depthwise_weights,
        macs=windows.depthwise_macs,
    ),
    Operator(
        "conv_transpose",
        windows.conv_transpose,
        (
            OUT,
            KERNEL,
            STRIDE,
            SCALING_PADDING,
            Attribute("output_padding", "count", 0),
            DILATION,
            GROUPS,
            _NO_BIAS,
        ),
        weights=windows.conv_transpose_weights,
        macs=windows.conv_transpose_macs,
    ),
)

_LAYERS = (
    Operator("linear", layers.linear, (OUT, _BIAS), weights=layers.linear_weights, macs=layers.linear_macs),
    Operator(
        "bn",
        same,
        (_EPS, Attribute("momentum", "ratio", Fraction(1, 10))),
        weights=layers.norm_weights,
        statistics=layers.norm_statistics,
        elementwise=True,
        in_place=True,
    ),
    Operator("layer_norm", same, (_EPS,), weights=layers.norm_weights),
    Operator(
        "layer_scale",
        same,
        (Attribute("initial", "ratio", Fraction(1, 1_000_000)),),
        weights=layers.factor_weights,
        elementwise=True,
        in_place=True,
    ),
)

_FUNCTIONS = (
    *[Operator(name, same, elementwise=True, in_place=True) for name in ACTIVATIONS],
    Operator(
        "leaky_relu",
        same,
        (Attribute("slope", "ratio", Fraction(1, 100)),),
        elementwise=True,
        in_place=True,
    ),
    Operator("softmax", same),
    Operator("dropout", same, (Attribute("rate", "ratio", Fraction(1, 2)),), elementwise=True, in_place=True),
    Operator("identity", same, elementwise=True, in_place=True),
    Operator("zero", same, elementwise=True),
)

_POOLS = (
    Operator("max_pool", windows.pool("max_pool"), (KERNEL, STRIDE, PADDING, *WIDTHS, CEIL_MODE)),
    Operator("avg_pool", windows.pool("avg_pool"), (KERNEL, STRIDE, PADDING, *WIDTHS, CEIL_MODE)),
    Operator("global_pool", movement.global_pool("global_pool")),
    Operator("global_max_pool", movement.global_pool("global_max_pool")),
)

_MOVEMENT = (
    Operator(
        "slice",
        movement.part_of_channels,
        (Attribute("start", "count", required=True), Attribute("stop", "size", required=True)),
    ),
    Operator(
        "crop",
        movement.crop,
        tuple(Attribute(side, "count", 0) for side in ("top", "left", "bottom", "right")),
    ),
    Operator("channel_shuffle", movement.channel_shuffle, (Attribute("groups", "size", required=True),)),
    Operator(
        "resize",
        movement.resize,
        (Attribute("scale", "factor", required=True), Attribute("bilinear", "flag", False)),
    ),
    Operator("flatten", movement.flatten),
    Operator("tokens", movement.tokens),
    Operator(
        "image",
        movement.to_image,
        (Attribute("height", "size", required=True), Attribute("width", "size", required=True)),
    ),
)

_TRANSFORMERS = (
    Operator(
        "attention",
        attention.attention,
        (Attribute("heads", "size", 1),),
        tensors=("keys", "values"),
        macs=attention.attention_macs,
    ),
    Operator("matmul", attention.matmul, tensors=("other",), macs=attention.matmul_macs),
    Operator("class_token", attention.class_token, weights=attention.class_token_weights),
    Operator(
        "position_embedding", attention.position_embedding, weights=attention.position_embedding_weights
    ),
    Operator("token", attention.token, (Attribute("index", "count", 0),)),
)

_MERGES = (
    Operator("add", merges.add, arity=None, elementwise=True),
    Operator("mul", merges.mul, arity=None, elementwise=True),
    Operator("concat", merges.concat, arity=None),
)

SECTIONS: Mapping[str, tuple[Operator, ...]] = {
    "Convolutions": _CONVOLUTIONS,
    "Layers and norms": _LAYERS,
    "Functions": _FUNCTIONS,
    "Pools": _POOLS,
    "Parts, sizes and orders": _MOVEMENT,
    "Transformers": _TRANSFORMERS,
    "Merges": _MERGES,
}
"""The rows of the table by what they are for."""

OPERATORS: Mapping[str, Operator] = {
    operator.name: operator for section in SECTIONS.values() for operator in section
}
"""Every operator that computes, by name. A graph's `input`, `select` and `mixed` are not operators."""

MERGES = tuple(sorted(operator.name for operator in _MERGES))
"""Operators of one or more operands; in the language they are wiring, not steps."""
