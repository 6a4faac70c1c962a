"""How ONNX's global pools, resizes and slices are read: what goes by places of an image or by channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import onnx

from compiler.codegen.onnx_reader import Operand, Reader, Rule, attributes_of
from compiler.ir.ops import channel_axis


def global_pool_rule(op: str) -> Rule:
    """The rule of a global pool; ONNX keeps a pixel."""

    def rule(reader: Reader, source: onnx.NodeProto) -> None:
        reader.add(source, op, [reader.operand(source, 0, "")], form="pixel")

    return rule


def reduce_rule(op: str) -> Rule:
    """The rule of a reduction over all places, which is a global pool."""

    def rule(reader: Reader, source: onnx.NodeProto) -> None:
        given, operand = attributes_of(source), reader.operand(source, 0, "")
        axes = given.get("axes") if "axes" in given else reader.constant(source, 1)
        rank = len(reader.sizes(operand))
        found = sorted(int(axis) % (rank + 1) for axis in ([] if axes is None else axes))
        keeps = bool(given.get("keepdims", 1))
        if found != {3: [2, 3], 2: [1]}.get(rank) or (keeps and rank == 2):
            raise reader.refuse(source, "only over height and width, or over tokens, is it supported")
        reader.add(source, op, [operand], form="pixel" if keeps else "")

    return rule


def read_resize(reader: Reader, source: onnx.NodeProto) -> None:
    """Nearest or linear, by constant factors that are the same for height and width."""
    given, operand = attributes_of(source), reader.operand(source, 0, "")
    factors = reader.constant(source, 2)
    if factors is None or len(factors) != 4 or [*factors[:2]] != [1, 1]:
        raise reader.refuse(source, "factors for height and width are supported, not sizes")
    mode = given.get("mode", b"nearest"), given.get("coordinate_transformation_mode", b"half_pixel")
    bilinear = mode[0] == b"linear" and mode[1] in (b"half_pixel", b"pytorch_half_pixel")
    nearest = mode == (b"nearest", b"asymmetric") and given.get("nearest_mode") == b"floor"
    if not bilinear and not nearest:
        raise reader.refuse(source, "only nearest (asymmetric, floor) and linear (half_pixel) are supported")
    scales = {_broken(float(factor)) for factor in factors[2:]}
    if len(scales) != 1:
        raise reader.refuse(
            source, f"its factors {[*map(float, factors[2:])]} differ, which is not supported"
        )
    reader.add(source, "resize", [operand], {"scale": scales.pop(), "bilinear": bilinear})


def _broken(factor: float) -> int | Fraction:
    """The fraction of small numbers that a float32 stands for."""
    near = Fraction(factor).limit_denominator(1024)
    exact = (
        near if abs(near / Fraction(factor) - 1) < Fraction(1, 2**22) else Fraction(str(np.float32(factor)))
    )
    return int(exact) if exact.denominator == 1 else exact


def read_slice(reader: Reader, source: onnx.NodeProto) -> None:
    """Channels, rows and columns, or every so many rows and columns of an image."""
    operand = reader.operand(source, 0, "")
    sizes = (1, *reader.sizes(operand))
    given = attributes_of(source)
    names = ("starts", "ends", "axes", "steps")
    found = [given.get(name, reader.constant(source, at)) for at, name in enumerate(names, start=1)]
    if found[0] is None or found[1] is None:
        raise reader.refuse(source, "its starts and ends must be constants")
    axes = [int(axis) % len(sizes) for axis in (range(len(found[0])) if found[2] is None else found[2])]
    steps = [1] * len(axes) if found[3] is None else [int(step) for step in found[3]]
    if min(steps) < 1:
        raise reader.refuse(source, f"steps {steps} are not supported")
    ranges = {
        axis: range(sizes[axis])[int(start) : int(stop) : step]
        for axis, start, stop, step in zip(axes, found[0], found[1], steps, strict=True)
    }
    _take_ranges(reader, source, operand, sizes, ranges)


def _take_ranges(
    reader: Reader,
    source: onnx.NodeProto,
    operand: Operand,
    sizes: Sequence[int],
    ranges: Mapping[int, range],
) -> None:
    """The operator that takes these places along some dimensions of ONNX's."""
    cut = {axis: part for axis, part in ranges.items() if part != range(sizes[axis])}
    ranges = ranges if reader.ours else cut
    steps = {part.step for part in cut.values()}
    channels = 1 + channel_axis(len(sizes) - 1)
    if not cut and not reader.ours:
        reader.pass_on(source)
    elif set(ranges) == {channels} and len(ranges[channels]) > 0 and steps <= {1}:
        part = ranges[channels]
        reader.add(source, "slice", [operand], {"start": part.start, "stop": part.stop})
    elif len(sizes) == 4 and channels in cut and set(cut) <= {1, 2, 3} and len(cut[channels]) > 0:
        part = cut[channels]
        if part.step != 1:
            raise reader.refuse(source, f"every {part.step} channels cannot be cut out")
        reader.add(source, "slice", [operand], {"start": part.start, "stop": part.stop}, part="channels")
        rest = {axis: places for axis, places in cut.items() if axis != channels}
        cut_sizes = (sizes[0], len(part), *sizes[2:])
        _take_ranges(reader, source, reader.values[source.output[0]], cut_sizes, rest)
    elif len(sizes) == 4 and set(ranges) <= {2, 3} and steps <= {1}:
        rows, columns = (ranges.get(axis, range(sizes[axis])) for axis in (2, 3))
        edges = (rows.start, columns.start, sizes[2] - rows.stop, sizes[3] - columns.stop)
        given = dict(zip(("top", "left", "bottom", "right"), edges, strict=True))
        reader.add(source, "crop", [operand], given)
    elif len(sizes) == 4 and set(ranges) == {2, 3} and len(steps) == 1:
        _take_every(reader, source, operand, ranges, steps.pop())
    else:
        raise reader.refuse(
            source, "only channels, rows and columns can be cut out, and of both of the latter every so many"
        )


def _take_every(
    reader: Reader, source: onnx.NodeProto, operand: Operand, ranges: Mapping[int, range], step: int
) -> None:
    """Every so many rows and columns: a resize by a broken factor, where none are left over."""
    scale, operands = Fraction(1, step), [operand]
    grown = reader.take(source, 0, "resize") if reader.ours else None
    if grown is not None:
        scale, operands = scale * grown.settings["scale"], [Operand(name) for name in grown.inputs]  # type: ignore[operator]
    extents = [int(size * scale) for size in reader.sizes(operands[0])[1:]]
    if [len(ranges[2]), len(ranges[3])] != extents or {ranges[2].start, ranges[3].start} != {0}:
        raise reader.refuse(source, f"every {step} rows and columns are supported where none are left over")
    reader.add(source, "resize", operands, {"scale": scale, "bilinear": False})
