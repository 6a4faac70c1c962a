"""What ONNX writes as reshapes and transposes, read as the operators they add up to.

Such a node computes nothing, so none is made for it: the value is carried on with the *form* that ONNX has it
in, until a node gives it a form of the network again. Forms by their dimensions in ONNX, with g groups or heads:

    ""            as the network has it: [1, C, H, W], [1, T, C], [1, C]
    pixel         [1, C, 1, 1] of [C]
    last          [1, H, W, C] of [C, H, W]
    columns       [1, C, H W] of [C, H, W]
    turned        [1, C, T] of [T, C]
    grouped       [1, g, C / g, H, W] of [C, H, W], [1, g, C / g] of [C]
    shuffled      the same with g and C / g exchanged
    split         [1, T, g, C / g] of [T, C]
    heads         [1, g, T, C / g] of [T, C]
    heads turned  [1, g, C / g, T] of [T, C]
    scores        [1, g, T, S], of queries and keys; then `weights`, their softmax
    attended      [1, g, T, D / g], of queries, keys and values; then `attended split`, [1, T, g, D / g]
    product       the product so far of several operands, in a model of ours
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import onnx

from compiler.codegen.onnx_reader import Operand, Reader, attributes_of
from compiler.ir.ops import channel_axis

_RESHAPED = ("", "pixel", "last", "columns", "turned", "grouped", "shuffled", "split", "attended split")
"""Forms that a reshape may begin with."""

_TURNS: Mapping[tuple[str, int, tuple[int, ...]], str] = {
    ("", 3, (0, 2, 3, 1)): "last",
    ("last", 3, (0, 3, 1, 2)): "",
    ("", 2, (0, 2, 1)): "turned",
    ("turned", 2, (0, 2, 1)): "",
    ("grouped", 3, (0, 2, 1, 3, 4)): "shuffled",
    ("grouped", 1, (0, 2, 1)): "shuffled",
    ("split", 2, (0, 1, 3, 2)): "shuffled",
    ("split", 2, (0, 2, 1, 3)): "heads",
    ("split", 2, (0, 2, 3, 1)): "heads turned",
    ("heads", 2, (0, 1, 3, 2)): "heads turned",
    ("attended", 2, (0, 2, 1, 3)): "attended split",
}
"""The form that a transpose gives: from a form, of a value of so many dimensions, by a permutation."""


def read_transpose(reader: Reader, source: onnx.NodeProto) -> None:
    """A transpose: another form, or the end of an operator's several nodes."""
    operand = reader.view(source)
    rank, order = len(reader.sizes(operand)), tuple(attributes_of(source).get("perm", ()))
    if operand.form == "columns" and order == (0, 2, 1):
        reader.add(source, "tokens", [operand])
        return
    form = _TURNS.get((operand.form, rank, order))
    if form is None:
        raise reader.refuse(
            source, f"the permutation {list(order)} is not one of an operator that is supported"
        )
    norm = reader.take(source, 0, "layer_norm") if operand.form == "last" and reader.ours else None
    if norm is not None:
        operands = [Operand(name) for name in norm.inputs]
        reader.add(source, "layer_norm", operands, norm.settings, reader.weights_of(norm))
        return
    reader.pass_on(source, replace(operand, form=form))


def read_reshape(reader: Reader, source: onnx.NodeProto) -> None:
    """Flatten, Reshape, Squeeze and Unsqueeze, by the dimensions that they give."""
    operand = reader.operand(source, 0, *_RESHAPED)
    have = dimensions(reader, operand)
    want = _wanted(reader, source, have)
    if math.prod(want) != math.prod(have) or want[:1] != (1,):
        raise reader.refuse(source, f"it does not make {list(want)} of {list(have)}")
    if want == have:
        reader.pass_on(source, operand)
    elif operand.form == "":
        _reshape_plain(reader, source, operand, want)
    else:
        _reshape_form(reader, source, operand, want)


def _reshape_plain(reader: Reader, source: onnx.NodeProto, operand: Operand, want: tuple[int, ...]) -> None:
    sizes = reader.sizes(operand)
    if len(want) == 2 and len(sizes) > 1:
        reader.add(source, "flatten", [operand])
        return
    form, groups = _viewed(sizes, want)
    if not form:
        raise reader.refuse(
            source, f"making {list(want)} of {[1, *sizes]} is not an operator that is supported"
        )
    reader.pass_on(source, replace(operand, form=form, groups=groups))


def _viewed(sizes: tuple[int, ...], want: tuple[int, ...]) -> tuple[str, int]:
    """The form of a plain value that has these dimensions in ONNX, and its groups."""
    if len(sizes) == 3 and want == (1, sizes[0], sizes[1] * sizes[2]):
        return "columns", 0
    if len(sizes) == 3 and len(want) == 5 and want[1] * want[2] == sizes[0] and want[3:] == sizes[1:]:
        return "grouped", want[1]
    if len(sizes) == 2 and len(want) == 4 and want[1] == sizes[0]:
        return "split", want[2]
    if len(sizes) == 1 and len(want) == 3:
        return "grouped", want[1]
    return ("pixel", 0) if len(sizes) == 1 and want == (1, *sizes, 1, 1) else ("", 0)


def _reshape_form(reader: Reader, source: onnx.NodeProto, operand: Operand, want: tuple[int, ...]) -> None:
    sizes = reader.sizes(operand)
    if operand.form == "pixel" and want == (1, *sizes):
        _reshape_pixel(reader, source, operand)
    elif operand.form == "turned" and len(want) == 4 and want[1] == sizes[1]:
        reader.add(source, "image", [operand], {"height": want[2], "width": want[3]})
    elif operand.form == "shuffled" and want == (1, *sizes):
        reader.add(source, "channel_shuffle", [operand], {"groups": operand.groups})
    elif operand.form == "attended split" and want[:2] == (1, sizes[0]) and len(want) == 3:
        reader.add(source, "attention", [operand, *operand.others], {"heads": operand.groups})
    else:
        have = list(dimensions(reader, operand))
        raise reader.refuse(source, f"making {list(want)} of {have} is not an operator that is supported")


def _reshape_pixel(reader: Reader, source: onnx.NodeProto, operand: Operand) -> None:
    """A global pool and what makes a vector of its pixels are one operator."""
    pool = reader.take(source, 0, "global_pool", "global_max_pool")
    if pool is None:
        reader.pass_on(source, Operand(operand.node))
        return
    named = source if reader.ours else _named(source, pool.name)
    reader.add(named, pool.op, [Operand(name) for name in pool.inputs])


def _named(source: onnx.NodeProto, name: str) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(source)
    copy.name = name
    return copy


def dimensions(reader: Reader, operand: Operand) -> tuple[int, ...]:
    """The dimensions that ONNX has of a value."""
    sizes, groups = reader.sizes(operand), operand.groups
    if operand.form == "attended split":
        channels = reader.sizes(operand.others[1])[1]
        return 1, sizes[0], groups, channels // groups
    if operand.form in ("scores", "weights"):
        return 1, groups, sizes[0], reader.sizes(operand.others[0])[0]
    if operand.form in ("heads", "heads turned"):
        parts = (sizes[0], sizes[1] // groups)
        return 1, groups, *(parts if operand.form == "heads" else parts[::-1])
    if operand.form in ("grouped", "shuffled", "split"):
        axis = 1 if len(sizes) == 2 else 0
        parts = (groups, sizes[axis] // groups)
        return 1, *sizes[:axis], *(parts[::-1] if operand.form == "shuffled" else parts), *sizes[axis + 1 :]
    plain: dict[str, tuple[int, ...]] = {
        "": sizes,
        "pixel": (*sizes, 1, 1),
        "last": (*sizes[1:], sizes[0]),
        "columns": (sizes[0], math.prod(sizes[1:])),
        "turned": sizes[::-1],
    }
    return 1, *plain.get(operand.form, sizes)


def _wanted(reader: Reader, source: onnx.NodeProto, have: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions that a node is to give, without 0, "as before", and -1, "the rest"."""
    given = attributes_of(source)
    if source.op_type == "Flatten":
        axis = given.get("axis", 1) % (len(have) + 1)
        return math.prod(have[:axis]), math.prod(have[axis:])
    if source.op_type in ("Squeeze", "Unsqueeze"):
        return _squeezed(reader, source, have)
    target = [int(size) for size in reader.weight(source, 1)]
    wanted = [have[at] if size == 0 and at < len(have) else size for at, size in enumerate(target)]
    known = math.prod(size for size in wanted if size != -1)
    return tuple(math.prod(have) // max(known, 1) if size == -1 else size for size in wanted)


def _squeezed(reader: Reader, source: onnx.NodeProto, have: tuple[int, ...]) -> tuple[int, ...]:
    given = attributes_of(source)
    axes = given.get("axes") if "axes" in given else reader.constant(source, 1)
    if axes is None:
        return tuple(size for size in have if size != 1)
    if source.op_type == "Squeeze":
        gone = {int(axis) % len(have) for axis in axes}
        return tuple(size for at, size in enumerate(have) if at not in gone)
    rank = len(have) + len(axes)
    new = {int(axis) % rank for axis in axes}
    rest = iter(have)
    return tuple(1 if at in new else next(rest) for at in range(rank))


def read_scores(reader: Reader, source: onnx.NodeProto) -> bool:
    """The two products of attention; False where `source` is another product."""
    left, right = (reader.view(source, index) for index in (0, 1))
    if left.groups != right.groups:
        return False
    if (left.form, right.form) == ("heads", "heads turned"):
        factor = left.factor * right.factor
        found = replace(left, form="scores", others=(right,), factor=factor)
    elif (left.form, right.form) == ("weights", "heads") and right.factor == 1:
        found = replace(left, form="attended", others=(*left.others, right))
    else:
        return False
    reader.pass_on(source, found)
    return True


def read_factor(reader: Reader, source: onnx.NodeProto, operand: Operand, factor: float) -> None:
    """A number that attention's scores, queries or keys are multiplied with."""
    reader.pass_on(source, replace(operand, factor=operand.factor * factor))


def channels_place(reader: Reader, operand: Operand) -> int:
    """The dimension of ONNX's that holds the channels of a value that is plain, a pixel or has them last."""
    rank = len(reader.sizes(operand))
    return {"pixel": 1, "last": rank}.get(operand.form, 1 + channel_axis(rank))


def read_weights(reader: Reader, source: onnx.NodeProto, operand: Operand, axis: int) -> None:
    """The softmax of attention's scores, over a dimension of ONNX's.

    Raises:
        OnnxProblem: the scores are not scaled as attention's are.
    """
    width = reader.sizes(operand)[1] // operand.groups
    if abs(operand.factor * math.sqrt(width) - 1) > 1e-5:
        raise reader.refuse(
            source, f"scores of attention are scaled by 1 / sqrt({width}); others are not supported"
        )
    if axis != 3:
        raise reader.refuse(source, "the softmax of attention's scores is over the keys")
    reader.pass_on(source, replace(operand, form="weights", factor=1.0))
