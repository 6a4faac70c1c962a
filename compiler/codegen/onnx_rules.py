"""How each ONNX operator is read: one rule an operator, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from compiler.codegen.onnx_reader import Operand, Reader, attributes_of
from compiler.ir.expression import Value
from compiler.ir.graph import Node

Rule = Callable[[Reader, onnx.NodeProto], None]
_BIASABLE = ("conv", "depthwise", "linear")


def _conv(reader: Reader, source: onnx.NodeProto) -> None:
    operand, weight, bias = reader.operand(source), reader.weight(source, 1), reader.constant(source, 2)
    if weight.ndim != 4:
        raise reader.refuse(source, f"a kernel of {weight.ndim - 2} dimensions is not supported, 2 are")
    window = _window(reader, source, weight.shape[2:])
    groups = attributes_of(source).get("group", 1)
    weights = {"weight": weight} | ({} if bias is None else {"bias": bias})
    if operand.pixel:
        _pixel_conv(reader, source, weights, window, groups)
        return
    given: dict[str, Value] = {**window, "bias": bias is not None}
    channels = reader.sizes(operand)[0]
    depthwise = groups == channels == weight.shape[0] and (groups > 1 or reader.hint(source) == "depthwise")
    if depthwise and reader.hint(source) != "conv":
        reader.add(source, "depthwise", [operand], given, weights)
    else:
        reader.add(source, "conv", [operand], {**given, "out": weight.shape[0], "groups": groups}, weights)


def _pixel_conv(
    reader: Reader,
    source: onnx.NodeProto,
    weights: dict[str, npt.NDArray[Any]],
    window: Mapping[str, int],
    groups: int,
) -> None:
    """A 1x1 convolution of one pixel is a linear layer."""
    if window["kernel"] != 1 or window["padding"] != 0 or groups != 1:
        raise reader.refuse(source, "after a global pool only an ungrouped 1x1 convolution is supported")
    weight = weights["weight"][:, :, 0, 0]
    given: dict[str, Value] = {"out": len(weight), "bias": "bias" in weights}
    reader.add(source, "linear", [reader.operand(source)], given, {**weights, "weight": weight}, pixel=True)


def _window(reader: Reader, source: onnx.NodeProto, shape: tuple[int, ...] | None = None) -> dict[str, int]:
    """Kernel, stride, padding and dilation of a square, symmetric window."""
    given = attributes_of(source)
    kernel = tuple(given.get("kernel_shape", shape or ()))
    strides, dilations = given.get("strides", [1, 1]), given.get("dilations", [1, 1])
    if given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise reader.refuse(source, "`auto_pad` is not supported; export explicit pads")
    pads = given.get("pads", [0, 0, 0, 0])
    settings = {"kernel": kernel, "stride": strides, "padding": pads, "dilation": dilations}
    for name, values in settings.items():
        if len(values) != (4 if name == "padding" else 2) or len(set(values)) != 1:
            raise reader.refuse(source, f"{name} {list(values)} is not square and symmetric")
    return {name: values[0] for name, values in settings.items()}


def _gemm(reader: Reader, source: onnx.NodeProto) -> None:
    given = attributes_of(source)
    if given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0 or given.get("transA", 0):
        raise reader.refuse(source, "only alpha = beta = 1 and an untransposed A are supported")
    weight, bias = reader.weight(source, 1), reader.constant(source, 2)
    _linear(reader, source, weight if given.get("transB", 0) else weight.T, bias)


def _matmul(reader: Reader, source: onnx.NodeProto) -> None:
    weight = reader.weight(source, 1)
    if weight.ndim != 2:
        raise reader.refuse(source, "its second operand must be a constant matrix")
    _linear(reader, source, weight.T, None)


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
    reader.add(source, "linear", [operand], given, weights, operand.pixel)


def _elementwise(op: str) -> Rule:
    def rule(reader: Reader, source: onnx.NodeProto) -> None:
        operand = reader.operand(source)
        reader.add(source, op, [operand], pixel=operand.pixel)

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
    reader.add(source, "bn", [operand], attributes, weights, operand.pixel)


def _exact(value: float) -> Fraction:
    """The shortest decimal that a float32 attribute was written as."""
    return Fraction(str(np.float32(value)))


def _pool(op: str) -> Rule:
    def rule(reader: Reader, source: onnx.NodeProto) -> None:
        given, window = attributes_of(source), _window(reader, source)
        if given.get("ceil_mode", 0) or window["dilation"] != 1 or len(source.output) != 1:
            raise reader.refuse(source, "ceil mode, dilation and indices are not supported")
        if op == "avg_pool" and window["padding"] and given.get("count_include_pad", 0):
            raise reader.refuse(source, "padding that counts in the average is not supported")
        del window["dilation"]
        reader.add(source, op, [reader.operand(source)], window)

    return rule


def _global_pool(reader: Reader, source: onnx.NodeProto) -> None:
    reader.add(source, "global_pool", [reader.operand(source)], pixel=True)


def _reduce_mean(reader: Reader, source: onnx.NodeProto) -> None:
    given = attributes_of(source)
    axes = given.get("axes") if "axes" in given else reader.constant(source, 1)
    found = sorted(int(axis) % 4 for axis in ([] if axes is None else axes))
    if found != [2, 3] or len(reader.sizes(reader.operand(source))) != 3:
        raise reader.refuse(source, "only the mean over height and width is supported")
    reader.add(source, "global_pool", [reader.operand(source)], pixel=bool(given.get("keepdims", 1)))


def _reshape(reader: Reader, source: onnx.NodeProto) -> None:
    """Flatten, Reshape and Squeeze: what leaves a vector a vector."""
    operand = reader.operand(source)
    sizes = reader.sizes(operand)
    if not _gives_vector(reader, source, sizes):
        raise reader.refuse(source, "it may only make a vector of what a global pool gives")
    if len(sizes) == 3:
        reader.add(source, "global_pool", [operand])
        return
    pool = reader.take(source, 0, "global_pool") if operand.pixel else None
    if pool is None:
        reader.pass_on(source)
        reader.values[source.output[0]] = Operand(operand.node)
    else:
        named = source if reader.ours else _named(source, pool.name)
        reader.add(named, "global_pool", [Operand(name) for name in pool.inputs])


def _named(source: onnx.NodeProto, name: str) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(source)
    copy.name = name
    return copy


def _gives_vector(reader: Reader, source: onnx.NodeProto, sizes: tuple[int, ...]) -> bool:
    if len(sizes) == 2 or (len(sizes) == 3 and sizes[1:] != (1, 1)):
        return False
    given = attributes_of(source)
    if source.op_type == "Flatten":
        return bool(given.get("axis", 1) == 1)
    if source.op_type == "Squeeze":
        axes = given.get("axes") if "axes" in given else reader.constant(source, 1)
        return axes is not None and sorted(int(axis) % 4 for axis in axes) == [2, 3]
    target = reader.constant(source, 1)
    wanted = [] if target is None else [int(size) for size in target]
    return wanted in ([1, sizes[0]], [1, -1], [0, -1], [0, sizes[0]], [-1, sizes[0]])


def _add(reader: Reader, source: onnx.NodeProto) -> None:
    constant = [name in reader.constants for name in source.input]
    if len(constant) == 2 and sum(constant) == 1:
        _add_bias(reader, source, constant.index(False))
    else:
        _merge("add")(reader, source)


def _add_bias(reader: Reader, source: onnx.NodeProto, index: int) -> None:
    """A constant added to what a layer without bias computes is its bias."""
    operand, bias = reader.operand(source, index), reader.weight(source, 1 - index)
    node = reader.take(source, index, *_BIASABLE)
    if node is None or node.settings["bias"] or not _is_bias(node, operand, bias):
        raise reader.refuse(source, "a constant may only be added as the bias of a layer that has none")
    weights = {**reader.weights_of(node), "bias": bias.reshape(-1)}
    operands = [Operand(name) for name in node.inputs]
    reader.add(source, node.op, operands, {**node.settings, "bias": True}, weights, operand.pixel)


def _is_bias(node: Node, operand: Operand, bias: npt.NDArray[Any]) -> bool:
    channels = node.type.sizes[0] if len(node.type.dimensions) == 3 else node.type.sizes[-1]
    trailing = (1, 1) if operand.pixel or len(node.type.dimensions) == 3 else ()
    shapes = ((channels, *trailing), (1, channels, *trailing))
    return bias.shape in shapes


def _mul(reader: Reader, source: onnx.NodeProto) -> None:
    if any(name in reader.constants for name in source.input):
        _mul_constant(reader, source)
    elif not (_gated(reader, source, 1) or _gated(reader, source, 0)):
        pixel, heads = _pixel(reader, source), [reader.operand(source)]
        product = reader.take(source, 0, "mul") if reader.ours else None
        if product is not None:
            heads = [Operand(name) for name in product.inputs]
        reader.add(source, "mul", [*heads, reader.operand(source, 1)], pixel=pixel)


def _gated(reader: Reader, source: onnx.NodeProto, gate: int) -> bool:
    """x * sigmoid(x) and x * hsigmoid(x), where only this product reads the sigmoid."""
    operand, value = reader.operand(source, gate), reader.operand(source, 1 - gate)
    if reader.nodes[operand.node].inputs != (value.node,) or operand.pixel != value.pixel:
        return False
    node = reader.take(source, gate, "sigmoid", "hsigmoid")
    if node is None:
        return False
    reader.add(source, "swish" if node.op == "sigmoid" else "hswish", [value], pixel=value.pixel)
    return True


def _mul_constant(reader: Reader, source: onnx.NodeProto) -> None:
    index = 0 if source.input[0] in reader.values else 1
    constant = reader.weight(source, 1 - index)
    if constant.size != 1 or float(constant.reshape(())) != 0:
        raise reader.refuse(source, "a product with a constant is not supported")
    operand = reader.operand(source, index)
    reader.add(source, "zero", [operand], pixel=operand.pixel)


def _merge(op: str) -> Rule:
    def rule(reader: Reader, source: onnx.NodeProto) -> None:
        operands = [reader.operand(source, index) for index in range(len(source.input))]
        reader.add(source, op, operands, pixel=_pixel(reader, source))

    return rule


def _pixel(reader: Reader, source: onnx.NodeProto) -> bool:
    pixels = {reader.operand(source, index).pixel for index in range(len(source.input))}
    if len(pixels) != 1:
        raise reader.refuse(source, "its operands differ in shape, and broadcasting is not supported")
    return pixels.pop()


def _concat(reader: Reader, source: onnx.NodeProto) -> None:
    operand = reader.operand(source)
    rank = 4 if operand.pixel else len(reader.sizes(operand)) + 1
    if attributes_of(source)["axis"] % rank != (2 if rank == 3 else 1):
        raise reader.refuse(source, "only channels can be concatenated")
    _merge("concat")(reader, source)


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
    "AveragePool": _pool("avg_pool"),
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": _concat,
    "Constant": _constant,
    "Conv": _conv,
    "Dropout": _dropout,
    "Elu": _elu,
    "Flatten": _reshape,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _elementwise("hswish"),
    "Identity": _pass_on,
    "MatMul": _matmul,
    "MaxPool": _pool("max_pool"),
    "Mul": _mul,
    "ReduceMean": _reduce_mean,
    "Relu": _elementwise("relu"),
    "Reshape": _reshape,
    "Sigmoid": _elementwise("sigmoid"),
    "Squeeze": _reshape,
    "Sum": _add,
    "Tanh": _elementwise("tanh"),
}
