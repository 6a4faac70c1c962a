"""How each ONNX operator is read: one rule an operator, in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from compiler.codegen.onnx_reader import Operand, Reader, attributes_of
from compiler.codegen.onnx_views import read_factor, read_reshape, read_scores, read_transpose, read_weights
from compiler.codegen.onnx_windows import (
    Rule,
    global_pool_rule,
    pool_rule,
    read_conv,
    read_conv_transpose,
    read_resize,
    read_slice,
    reduce_rule,
)
from compiler.ir.expression import Value
from compiler.ir.graph import Node
from compiler.ir.ops import channel_axis

_BIASABLE = ("conv", "depthwise", "conv_transpose", "linear")


def _gemm(reader: Reader, source: onnx.NodeProto) -> None:
    given = attributes_of(source)
    if given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0 or given.get("transA", 0):
        raise reader.refuse(source, "only alpha = beta = 1 and an untransposed A are supported")
    weight, bias = reader.weight(source, 1), reader.constant(source, 2)
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


def _clip(reader: Reader, source: onnx.NodeProto) -> None:
    given = attributes_of(source)
    bounds = [reader.constant(source, index) for index in (1, 2)]
    low = float(given.get("min", -np.inf) if bounds[0] is None else bounds[0])
    high = float(given.get("max", np.inf) if bounds[1] is None else bounds[1])
    op = {(0.0, 6.0): "relu6", (0.0, float("inf")): "relu"}.get((low, high))
    if op is None:
        raise reader.refuse(source, f"bounds {low:g} and {high:g} are not supported; 0 and 6 are")
    _elementwise(op)(reader, source)


def _hard_sigmoid(reader: Reader, source: onnx.NodeProto) -> None:
    given = attributes_of(source)
    alpha, beta = given.get("alpha", 0.2), given.get("beta", 0.5)
    if abs(alpha - 1 / 6) > 1e-6 or beta != 0.5:
        raise reader.refuse(source, f"alpha {alpha:g}, beta {beta:g} are not supported; 1/6 and 1/2 are")
    _elementwise("hsigmoid")(reader, source)


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
    operand = reader.operand(source, 0, "", "scores")
    if operand.form == "scores":
        read_weights(reader, source, operand)
        return
    rank = len(reader.sizes(operand))
    if attributes_of(source).get("axis", -1) % (rank + 1) != 1 + channel_axis(rank):
        raise reader.refuse(source, "only over the channels is it supported")
    reader.add(source, "softmax", [operand])


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


def _add(reader: Reader, source: onnx.NodeProto) -> None:
    constant = [name in reader.constants for name in source.input]
    if len(constant) == 2 and sum(constant) == 1:
        _add_bias(reader, source, constant.index(False))
    else:
        _merge("add")(reader, source)


def _add_bias(reader: Reader, source: onnx.NodeProto, index: int) -> None:
    """A constant added to what a layer without bias computes is its bias; one for each token, an embedding."""
    operand, bias = reader.operand(source, index), reader.weight(source, 1 - index)
    sizes = reader.sizes(operand)
    if len(sizes) == 2 and (bias.shape == (1, *sizes) or (bias.shape == sizes and sizes[0] > 1)):
        reader.add(source, "position_embedding", [operand], {}, {"weight": bias.reshape(sizes)})
        return
    node = reader.take(source, index, *_BIASABLE)
    if node is None or node.settings["bias"] or not _is_bias(node, operand, bias):
        raise reader.refuse(source, "a constant may only be added as the bias of a layer that has none")
    weights = {**reader.weights_of(node), "bias": bias.reshape(-1)}
    operands = [Operand(name) for name in node.inputs]
    reader.add(source, node.op, operands, {**node.settings, "bias": True}, weights, operand.form)


def _is_bias(node: Node, operand: Operand, bias: npt.NDArray[Any]) -> bool:
    channels = node.type.sizes[0] if len(node.type.dimensions) == 3 else node.type.sizes[-1]
    trailing = (1, 1) if operand.form == "pixel" or len(node.type.dimensions) == 3 else ()
    shapes = ((channels, *trailing), (1, channels, *trailing))
    return bias.shape in shapes


def _mul(reader: Reader, source: onnx.NodeProto) -> None:
    if any(name in reader.constants for name in source.input):
        _mul_constant(reader, source, 0 if source.input[0] in reader.values else 1)
    elif not (_gated(reader, source, 1) or _gated(reader, source, 0)):
        left, right = (reader.operand(source, index, "", "pixel", "product") for index in (0, 1))
        operands = (*(left.others or (left,)), right)
        if reader.is_part(source):
            reader.pass_on(source, Operand(left.node, "product", others=operands))
        else:
            reader.add(source, "mul", operands, form=_product_form(reader, source, operands))


def _product_form(reader: Reader, source: onnx.NodeProto, operands: Sequence[Operand]) -> str:
    """The form of a product, whose operands ONNX broadcasts from the last dimension on."""
    forms = {operand.form for operand in operands if len(reader.sizes(operand)) == 1}
    rank = max(len(reader.sizes(operand)) for operand in operands)
    if forms - {"pixel"} if rank == 3 else len(forms) > 1 or (rank == 2 and forms == {"pixel"}):
        raise reader.refuse(source, "its operands differ in shape, and are no channels of one another")
    return "pixel" if rank == 1 and forms == {"pixel"} else ""


def _gated(reader: Reader, source: onnx.NodeProto, gate: int) -> bool:
    """x * sigmoid(x) and x * hsigmoid(x), where only this product reads the sigmoid."""
    operand, value = reader.view(source, gate), reader.view(source, 1 - gate)
    if reader.nodes[operand.node].inputs != (value.node,) or operand.form != value.form:
        return False
    node = reader.take(source, gate, "sigmoid", "hsigmoid")
    if node is None:
        return False
    reader.add(source, "swish" if node.op == "sigmoid" else "hswish", [value], form=value.form)
    return True


def _mul_constant(reader: Reader, source: onnx.NodeProto, index: int) -> None:
    """A constant that is zero, that scales attention's scores, or that has a factor for each channel."""
    constant = reader.weight(source, 1 - index)
    operand = reader.operand(source, index, "", "pixel", "last", "heads", "heads turned", "scores")
    if operand.groups and constant.size == 1:
        read_factor(reader, source, operand, float(constant.reshape(())))
    elif operand.form in ("", "pixel") and constant.size == 1 and float(constant.reshape(())) == 0:
        reader.add(source, "zero", [operand], form=operand.form)
    elif _is_of_channels(reader, operand, constant):
        weights = {"weight": constant.reshape(-1)}
        reader.add(source, "layer_scale", [operand], {}, weights, operand.form)
    else:
        raise reader.refuse(
            source, "only a product with zero, or with a factor for each channel, is supported"
        )


def _is_of_channels(reader: Reader, operand: Operand, constant: npt.NDArray[Any]) -> bool:
    """Whether a constant has an element for each channel, where ONNX has the channels."""
    sizes = reader.sizes(operand)
    first = operand.form == "pixel" or (operand.form == "" and len(sizes) == 3)
    channels = sizes[channel_axis(len(sizes))]
    shape = (channels, 1, 1) if first else (channels,)
    return constant.shape[-len(shape) :] == shape and constant.size == channels


def _merge(op: str) -> Rule:
    def rule(reader: Reader, source: onnx.NodeProto) -> None:
        operands = [reader.operand(source, index) for index in range(len(source.input))]
        reader.add(source, op, operands, form=_form(reader, source))

    return rule


def _form(reader: Reader, source: onnx.NodeProto) -> str:
    forms = {reader.operand(source, index).form for index in range(len(source.input))}
    if len(forms) != 1:
        raise reader.refuse(source, "its operands differ in shape, and broadcasting is not supported")
    return forms.pop()


def _concat(reader: Reader, source: onnx.NodeProto) -> None:
    if any(name in reader.constants for name in source.input):
        _class_token(reader, source)
        return
    operand = reader.operand(source)
    rank = 3 if operand.form == "pixel" else len(reader.sizes(operand))
    if attributes_of(source)["axis"] % (rank + 1) != 1 + channel_axis(rank):
        raise reader.refuse(source, "only channels can be concatenated")
    _merge("concat")(reader, source)


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
    if source.input[0] in reader.constants:
        reader.constants[source.output[0]] = reader.constants[source.input[0]]
    elif reader.hint(source) in ("identity", "mul"):
        _elementwise(reader.hint(source))(reader, source)
    else:
        reader.pass_on(source)


def _dropout(reader: Reader, source: onnx.NodeProto) -> None:
    training = reader.constant(source, 2)
    if training is not None and bool(training):
        raise reader.refuse(source, "it is in training mode; export the model for inference")
    reader.pass_on(source)


def _constant(reader: Reader, source: onnx.NodeProto) -> None:
    given = attributes_of(source)
    kinds = {
        "value_float": np.float32,
        "value_floats": np.float32,
        "value_int": np.int64,
        "value_ints": np.int64,
    }
    for name, value in given.items():
        if name == "value":
            reader.constants[source.output[0]] = numpy_helper.to_array(value)
        elif name in kinds:
            reader.constants[source.output[0]] = np.array(value, kinds[name])
        else:
            raise reader.refuse(source, f"a constant by `{name}` is not supported")


RULES: Mapping[str, Rule] = {
    "Add": _add,
    "AveragePool": pool_rule("avg_pool"),
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": _concat,
    "Constant": _constant,
    "Conv": read_conv,
    "ConvTranspose": read_conv_transpose,
    "Dropout": _dropout,
    "Elu": _elu,
    "Flatten": read_reshape,
    "Gather": _gather,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": global_pool_rule("global_pool"),
    "GlobalMaxPool": global_pool_rule("global_max_pool"),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _elementwise("hswish"),
    "Identity": _pass_on,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _leaky_relu,
    "MatMul": _matmul,
    "MaxPool": pool_rule("max_pool"),
    "Mul": _mul,
    "ReduceMax": reduce_rule("global_max_pool"),
    "ReduceMean": reduce_rule("global_pool"),
    "Relu": _elementwise("relu"),
    "Reshape": read_reshape,
    "Resize": read_resize,
    "Sigmoid": _elementwise("sigmoid"),
    "Slice": read_slice,
    "Softmax": _softmax,
    "Squeeze": read_reshape,
    "Sum": _add,
    "Tanh": _elementwise("tanh"),
    "Transpose": read_transpose,
    "Unsqueeze": read_reshape,
}
