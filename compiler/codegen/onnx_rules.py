"""How each ONNX operator is read: one rule an operator, in one table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from compiler.codegen.onnx_arithmetic import (
    read_add,
    read_clip,
    read_div,
    read_hard_sigmoid,
    read_merge,
    read_mul,
    read_sub,
)
from compiler.codegen.onnx_places import global_pool_rule, read_resize, read_slice, reduce_rule
from compiler.codegen.onnx_reader import Reader, Rule, attributes_of
from compiler.codegen.onnx_views import (
    channels_place,
    dimensions,
    read_reshape,
    read_scores,
    read_transpose,
    read_weights,
)
from compiler.codegen.onnx_windows import pool_rule, read_conv, read_conv_transpose
from compiler.ir.expression import Value
from compiler.ir.ops import channel_axis

PER_AXIS = 13
"""The opset from which on a softmax is over one dimension."""


def _gemm(reader: Reader, source: onnx.NodeProto) -> None:
    given = attributes_of(source)
    if given.get("transA", 0):
        raise reader.refuse(source, "only an untransposed A is supported")
    weight = np.float32(given.get("alpha", 1.0)) * reader.weight(source, 1)
    bias = reader.constant(source, 2)
    bias = None if bias is None else np.float32(given.get("beta", 1.0)) * bias
    _linear(reader, source, weight if given.get("transB", 0) else weight.T, bias)


def _matmul(reader: Reader, source: onnx.NodeProto) -> None:
    if all(name in reader.values for name in source.input):
        _product(reader, source)
        return
    weight = reader.weight(source, 1)
    if weight.ndim != 2:
        raise reader.refuse(source, "its second operand must be a constant matrix")
    _linear(reader, source, weight.T, None)


def _product(reader: Reader, source: onnx.NodeProto) -> None:
    """A product of two values: a part of attention, or a product by itself."""
    if not read_scores(reader, source):
        reader.add(source, "matmul", [reader.operand(source, index, "") for index in (0, 1)])


def _linear(
    reader: Reader, source: onnx.NodeProto, weight: npt.NDArray[Any], bias: npt.NDArray[Any] | None
) -> None:
    operand = reader.operand(source)
    weights = {"weight": weight}
    if bias is not None:
        weights["bias"] = (
            np.broadcast_to(bias.reshape(-1), (len(weight),)) if bias.size == 1 else bias.reshape(-1)
        )
    given: dict[str, Value] = {"out": len(weight), "bias": bias is not None}
    reader.add(source, "linear", [operand], given, weights, operand.form)


def _elementwise(op: str) -> Rule:
    def rule(reader: Reader, source: onnx.NodeProto) -> None:
        operand = reader.operand(source, 0, "", "pixel", "last")
        reader.add(source, op, [operand], form=operand.form)

    return rule


def _gelu(reader: Reader, source: onnx.NodeProto) -> None:
    if attributes_of(source).get("approximate", b"none") != b"none":
        raise reader.refuse(source, "the tanh approximation is not supported")
    _elementwise("gelu")(reader, source)


def _elu(reader: Reader, source: onnx.NodeProto) -> None:
    alpha = attributes_of(source).get("alpha", 1.0)
    if alpha != 1.0:
        raise reader.refuse(source, f"alpha {alpha:g} is not supported; 1 is")
    _elementwise("elu")(reader, source)


def _leaky_relu(reader: Reader, source: onnx.NodeProto) -> None:
    operand = reader.operand(source, 0, "", "pixel", "last")
    slope = _exact(attributes_of(source).get("alpha", 0.01))
    reader.add(source, "leaky_relu", [operand], {"slope": slope}, form=operand.form)


def _softmax(reader: Reader, source: onnx.NodeProto) -> None:
    operand = reader.operand(source, 0, "", "pixel", "last", "scores")
    sizes = dimensions(reader, operand)
    axis = attributes_of(source).get("axis", -1 if reader.opset >= PER_AXIS else 1) % len(sizes)
    if reader.opset < PER_AXIS and math.prod(sizes[axis:]) == max(sizes[axis:]):
        axis = max(range(axis, len(sizes)), key=lambda place: sizes[place])
    elif reader.opset < PER_AXIS:
        raise reader.refuse(source, f"before opset {PER_AXIS} it is over all dimensions from {axis} on")
    if operand.form == "scores":
        read_weights(reader, source, operand, axis)
    elif axis == channels_place(reader, operand):
        reader.add(source, "softmax", [operand], form=operand.form)
    else:
        raise reader.refuse(source, "only over the channels is it supported")


def _layer_norm(reader: Reader, source: onnx.NodeProto) -> None:
    given, operand = attributes_of(source), reader.operand(source, 0, "", "last")
    rank = len(reader.sizes(operand))
    if given.get("axis", -1) not in (-1, rank) or (rank == 3) != (operand.form == "last"):
        raise reader.refuse(source, "only over the channels is it supported")
    weight = reader.weight(source, 1)
    bias = reader.constant(source, 2)
    weights = {"weight": weight, "bias": np.zeros_like(weight) if bias is None else bias}
    eps = _exact(given.get("epsilon", 1e-5))
    reader.add(source, "layer_norm", [operand], {"eps": eps}, weights, operand.form)


def _batch_norm(reader: Reader, source: onnx.NodeProto) -> None:
    given = attributes_of(source)
    if given.get("training_mode", 0) or len([name for name in source.output if name]) != 1:
        raise reader.refuse(source, "it is in training mode; export the model for inference")
    parts = ("weight", "bias", "running_mean", "running_var")
    weights = {part: reader.weight(source, index) for index, part in enumerate(parts, start=1)}
    operand = reader.operand(source)
    attributes: dict[str, Value] = {
        "eps": _exact(given.get("epsilon", 1e-5)),
        "momentum": 1 - _exact(given.get("momentum", 0.9)),
    }
    reader.add(source, "bn", [operand], attributes, weights, operand.form)


def _exact(value: float) -> Fraction:
    """The shortest decimal that a float32 attribute was written as."""
    return Fraction(str(np.float32(value)))


def _concat(reader: Reader, source: onnx.NodeProto) -> None:
    if any(name in reader.constants for name in source.input):
        _class_token(reader, source)
        return
    operand = reader.operand(source)
    rank = 3 if operand.form == "pixel" else len(reader.sizes(operand))
    if attributes_of(source)["axis"] % (rank + 1) != 1 + channel_axis(rank):
        raise reader.refuse(source, "only channels can be concatenated")
    read_merge(reader, source, "concat")


def _class_token(reader: Reader, source: onnx.NodeProto) -> None:
    token = reader.weight(source, 0)
    if len(source.input) != 2 or token.shape[:2] != (1, 1) or attributes_of(source)["axis"] not in (1, -2):
        raise reader.refuse(source, "a constant can only stand before tokens, as one of them")
    reader.add(source, "class_token", [reader.operand(source, 1, "")], {}, {"weight": token.reshape(-1)})


def _gather(reader: Reader, source: onnx.NodeProto) -> None:
    """One of the tokens."""
    operand, index = reader.operand(source, 0, ""), reader.weight(source, 1)
    tokens = reader.sizes(operand)
    if index.ndim or len(tokens) != 2 or attributes_of(source).get("axis", 0) % 3 != 1:
        raise reader.refuse(source, "only one of the tokens can be taken out")
    place = int(index.reshape(())) % tokens[0]
    reader.add(source, "token", [operand], {"index": place})


def _pass_on(reader: Reader, source: onnx.NodeProto) -> None:
    """Identity and dropout: a node where it was one of ours, else nothing."""
    if reader.hint(source) in ("identity", "mul"):
        _elementwise(reader.hint(source))(reader, source)
    else:
        reader.pass_on(source)


def _dropout(reader: Reader, source: onnx.NodeProto) -> None:
    training = reader.constant(source, 2)
    if training is not None and bool(training):
        raise reader.refuse(source, "it is in training mode; export the model for inference")
    reader.pass_on(source)


RULES: Mapping[str, Rule] = {
    "Add": read_add,
    "AveragePool": pool_rule("avg_pool"),
    "BatchNormalization": _batch_norm,
    "Clip": read_clip,
    "Concat": _concat,
    "Conv": read_conv,
    "ConvTranspose": read_conv_transpose,
    "Div": read_div,
    "Dropout": _dropout,
    "Elu": _elu,
    "Flatten": read_reshape,
    "Gather": _gather,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": global_pool_rule("global_pool"),
    "GlobalMaxPool": global_pool_rule("global_max_pool"),
    "HardSigmoid": read_hard_sigmoid,
    "HardSwish": _elementwise("hswish"),
    "Identity": _pass_on,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _leaky_relu,
    "MatMul": _matmul,
    "MaxPool": pool_rule("max_pool"),
    "Mul": read_mul,
    "ReduceMax": reduce_rule("global_max_pool"),
    "ReduceMean": reduce_rule("global_pool"),
    "Relu": _elementwise("relu"),
    "Reshape": read_reshape,
    "Resize": read_resize,
    "Sigmoid": _elementwise("sigmoid"),
    "Slice": read_slice,
    "Softmax": _softmax,
    "Squeeze": read_reshape,
    "Sub": read_sub,
    "Sum": read_add,
    "Tanh": _elementwise("tanh"),
    "Transpose": read_transpose,
    "Unsqueeze": read_reshape,
}
