"""How ONNX's sums and products are read: of values with one another, and with constants.

A constant for each channel (or one for all) that is added to what a layer without a bias computes is its bias; any
other sum or product with one is a scale or shift of the channels, a norm that `compiler/passes/fold.py` puts into
the layer before it where it can. Several nodes that make one activation are found by looking ahead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx

from compiler.codegen.onnx_reader import Operand, Reader, attributes_of
from compiler.codegen.onnx_views import read_factor
from compiler.ir.ops import channel_axis

_BIASABLE = ("conv", "depthwise", "conv_transpose", "linear")


def read_add(reader: Reader, source: onnx.NodeProto) -> None:
    """A sum of values, or a constant added to one."""
    constant = [name in reader.constants for name in source.input]
    if len(constant) == 2 and sum(constant) == 1:
        _add_constant(reader, source, constant.index(False), reader.weight(source, constant.index(True)))
    else:
        read_merge(reader, source, "add")


def read_sub(reader: Reader, source: onnx.NodeProto) -> None:
    """A constant taken from a value, or a value from a constant."""
    if source.input[1] in reader.constants:
        _add_constant(reader, source, 0, -reader.weight(source, 1))
    elif source.input[0] in reader.constants:
        operand = reader.operand(source, 1, "", "pixel", "last")
        shift = _per_channel(reader, source, operand, reader.weight(source, 0))
        _affine(reader, source, operand, -np.ones_like(shift), shift)
    else:
        raise reader.refuse(source, "a value is taken from another, which is not supported")


def read_mul(reader: Reader, source: onnx.NodeProto) -> None:
    """A product of values, a gate, or a constant factor."""
    if any(name in reader.constants for name in source.input):
        at = 0 if source.input[0] in reader.values else 1
        _mul_constant(reader, source, at, reader.weight(source, 1 - at))
    elif not (_gated(reader, source, 1) or _gated(reader, source, 0)):
        left, right = (reader.operand(source, index, "", "pixel", "product") for index in (0, 1))
        operands = (*(left.others or (left,)), right)
        if reader.is_part(source):
            reader.pass_on(source, Operand(left.node, "product", others=operands))
        else:
            reader.add(source, "mul", operands, form=_product_form(reader, source, operands))


def read_div(reader: Reader, source: onnx.NodeProto) -> None:
    """A value divided by a constant."""
    divisor = reader.weight(source, 1)
    if not np.all(divisor):
        raise reader.refuse(source, "it divides by zero")
    _mul_constant(reader, source, 0, (1 / divisor.astype(np.float64)).astype(np.float32))


def read_merge(reader: Reader, source: onnx.NodeProto, op: str) -> None:
    """An operator of several values, all in one form."""
    operands = [reader.operand(source, index) for index in range(len(source.input))]
    forms = {operand.form for operand in operands}
    if len(forms) != 1:
        raise reader.refuse(source, "its operands differ in shape, and broadcasting is not supported")
    reader.add(source, op, operands, form=forms.pop())


def _add_constant(
    reader: Reader, source: onnx.NodeProto, index: int, constant: npt.NDArray[np.float32]
) -> None:
    """A bias, an embedding, the start of an activation, or a shift of the channels."""
    if constant.size == 1 and _read_hard(reader, source, index, float(constant.reshape(()))):
        return
    operand = reader.operand(source, index, "", "pixel", "last")
    sizes = reader.sizes(operand)
    if len(sizes) == 2 and (constant.shape == (1, *sizes) or (constant.shape == sizes and sizes[0] > 1)):
        reader.add(source, "position_embedding", [operand], {}, {"weight": constant.reshape(sizes)})
        return
    shift = _per_channel(reader, source, operand, constant)
    node = reader.take(source, index, *_BIASABLE, where=lambda node: not node.settings["bias"])
    if node is None:
        _affine(reader, source, operand, np.ones_like(shift), shift)
        return
    weights = {**reader.weights_of(node), "bias": shift}
    operands = [Operand(name) for name in node.inputs]
    reader.add(source, node.op, operands, {**node.settings, "bias": True}, weights, operand.form)


def _mul_constant(
    reader: Reader, source: onnx.NodeProto, index: int, constant: npt.NDArray[np.float32]
) -> None:
    """Zero, a factor of attention's scores, or a factor of each channel."""
    operand = reader.operand(source, index, "", "pixel", "last", "heads", "heads turned", "scores")
    if operand.groups and constant.size == 1:
        read_factor(reader, source, operand, float(constant.reshape(())))
    elif operand.groups:
        raise reader.refuse(source, "heads and scores of attention can only be multiplied with one number")
    elif operand.form in ("", "pixel") and constant.size == 1 and float(constant.reshape(())) == 0:
        reader.add(source, "zero", [operand], form=operand.form)
    else:
        weights = {"weight": _per_channel(reader, source, operand, constant)}
        reader.add(source, "layer_scale", [operand], {}, weights, operand.form)


def _per_channel(
    reader: Reader, source: onnx.NodeProto, operand: Operand, constant: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """A constant as one number for each channel, where ONNX has the channels.

    Raises:
        OnnxProblem: it is none.
    """
    sizes = reader.sizes(operand)
    channels = sizes[channel_axis(len(sizes))]
    first = operand.form == "pixel" or (operand.form == "" and len(sizes) == 3)
    shape = (channels, 1, 1) if first else (channels,)
    broadcast = constant.size == channels and constant.shape[-len(shape) :] == shape
    if constant.dtype != np.float32 or not (constant.size == 1 or broadcast):
        raise reader.refuse(
            source,
            f"a constant of {list(constant.shape)} is not supported there; one number is, and one for each channel",
        )
    return np.broadcast_to(constant.reshape(-1), (channels,))


def _affine(
    reader: Reader,
    source: onnx.NodeProto,
    operand: Operand,
    scale: npt.NDArray[np.float32],
    shift: npt.NDArray[np.float32],
    part: str = "",
) -> None:
    """Channels scaled and shifted: a batch norm of mean 0 and variance 1."""
    weights = {"weight": scale, "bias": shift}
    weights |= {"running_mean": np.zeros_like(scale), "running_var": np.ones_like(scale)}
    reader.add(source, "bn", [operand], {"eps": 0}, weights, operand.form, part)


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


def read_clip(reader: Reader, source: onnx.NodeProto) -> None:
    """Bounds that are an activation's."""
    low, high = _bounds(reader, source)
    op = {(0.0, 6.0): "relu6", (0.0, float("inf")): "relu"}.get((low, high))
    if op is None:
        raise reader.refuse(source, f"bounds {low:g} and {high:g} are not supported; 0 and 6 are")
    operand = reader.operand(source, 0, "", "pixel", "last")
    reader.add(source, op, [operand], form=operand.form)


def _bounds(reader: Reader, source: onnx.NodeProto) -> tuple[float, float]:
    given = attributes_of(source)
    bounds = [reader.constant(source, index) for index in (1, 2)]
    low = given.get("min", -np.inf) if bounds[0] is None else bounds[0].reshape(())
    high = given.get("max", np.inf) if bounds[1] is None else bounds[1].reshape(())
    return float(low), float(high)


def read_hard_sigmoid(reader: Reader, source: onnx.NodeProto) -> None:
    """clip(a x + b, 0, 1), which is hsigmoid(6 a x + 6 b - 3); a = 1/6 and b = 1/2 in PyTorch, 0.2 and 0.5 in ONNX."""
    given, operand = attributes_of(source), reader.operand(source, 0, "", "pixel", "last")
    scale, shift = 6 * given.get("alpha", 0.2), 6 * given.get("beta", 0.5) - 3
    if abs(scale - 1) > 1e-6 or abs(shift) > 1e-6:
        channels = reader.type_of(operand).channels
        assert isinstance(channels, int)
        scales, shifts = (np.full(channels, number, np.float32) for number in (scale, shift))
        _affine(reader, source, operand, scales, shifts, part="scaled")
        operand = reader.values[source.output[0]]
    reader.add(source, "hsigmoid", [operand], form=operand.form)


def _read_hard(reader: Reader, source: onnx.NodeProto, index: int, constant: float) -> bool:
    """clip(x + 3, 0, 6) / 6, and x times that in either order: hsigmoid and hswish as several nodes.

    What follows is known before it is read, since all of it but `x` is constant.
    """
    if constant != 3:
        return False
    clip = reader.reader_of(source, "Clip")
    if clip is None or _bounds(reader, clip) != (0, 6):
        return False
    divided = _sixth(reader, clip)
    product = _times(reader, divided or clip, source.input[index])
    swish = product if divided or product is None else _sixth(reader, product)
    whole = swish or divided
    if whole is None:
        return False
    operand = reader.operand(source, index, "", "pixel", "last")
    reader.add(whole, "hsigmoid" if swish is None else "hswish", [operand], form=operand.form)
    parts = (clip, divided, product if swish is not None else None, whole)
    reader.absorbed.update(node.output[0] for node in parts if node is not None)
    return True


def _sixth(reader: Reader, source: onnx.NodeProto) -> onnx.NodeProto | None:
    """The only reader of a node, if it divides by 6."""
    for kind, wanted in (("Div", 6.0), ("Mul", 1 / 6)):
        found = reader.reader_of(source, kind)
        if found is None or (kind == "Div" and found.input[0] != source.output[0]):
            continue
        other = next((name for name in found.input if name != source.output[0]), "")
        number = reader.constants.get(other)
        if number is not None and number.size == 1 and abs(float(number.reshape(())) / wanted - 1) < 1e-6:
            return found
    return None


def _times(reader: Reader, source: onnx.NodeProto, value: str) -> onnx.NodeProto | None:
    """The only reader of a node, if it multiplies it with a value."""
    found = reader.reader_of(source, "Mul")
    return found if found is not None and value in found.input else None
