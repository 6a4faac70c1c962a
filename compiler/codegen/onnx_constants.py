"""What an ONNX model computes from constants alone, or from shapes: done once, while it is read.

ONNX's own reference evaluates such nodes. How large a result may be is found out before, so that a few nodes that
double one another's results cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from compiler.codegen.onnx_reader import Reader, attributes_of
from compiler.codegen.onnx_views import dimensions

Array = npt.NDArray[Any]
BYTES_CAP = 1 << 30
"""What all computed constants of a model may hold; the weights of VGG-19 are half of it."""
FOLDED = (
    "Add", "Cast", "Concat", "Constant", "ConstantOfShape", "Div", "Flatten", "Floor", "Gather", "Identity", "Mul",
    "Neg", "ReduceProd", "Reshape", "Shape", "Slice", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze",
)  # fmt: skip
"""Operators whose results are constants where all that they read is constant, or, of `Shape`, known."""


def fold(reader: Reader, source: onnx.NodeProto) -> bool:
    """Compute the constant that `source` gives; False where it gives none.

    Raises:
        OnnxProblem: it cannot be computed, or is too large.
    """
    if source.op_type == "Shape" and source.input[0] in reader.values:
        sizes = dimensions(reader, reader.view(source))
        given = attributes_of(source)
        reader.constants[source.output[0]] = np.array(
            sizes[given.get("start", 0) : given.get("end")], np.int64
        )
        return True
    read = [name for name in source.input if name]
    if source.op_type not in FOLDED or any(name not in reader.constants for name in read):
        return False
    if source.op_type == "Constant":
        reader.constants[source.output[0]] = _constant(reader, source)
        return True
    arrays = [reader.constants[name] for name in read]
    reader.computed_bytes += _most(source, arrays) * _item_bytes(source, arrays)
    if reader.computed_bytes > BYTES_CAP:
        raise reader.refuse(source, f"more than {BYTES_CAP >> 20:,} MiB of constants are not computed")
    reader.constants[source.output[0]] = _evaluate(source, dict(zip(read, arrays, strict=True)), reader.opset)
    return True


def _constant(reader: Reader, source: onnx.NodeProto) -> Array:
    """The value of a `Constant`, which it says in one of several attributes."""
    kinds = {
        "value_float": np.float32,
        "value_floats": np.float32,
        "value_int": np.int64,
        "value_ints": np.int64,
    }
    for name, value in attributes_of(source).items():
        if name == "value":
            return numpy_helper.to_array(value)
        if name in kinds:
            return np.array(value, kinds[name])
    raise reader.refuse(source, "a constant of this kind is not supported")


def _most(source: onnx.NodeProto, arrays: Sequence[Array]) -> int:
    """A bound of the elements of the result."""
    if source.op_type == "ConstantOfShape":
        return math.prod(max(int(size), 0) for size in arrays[0].reshape(-1))
    if source.op_type == "Concat":
        return sum(array.size for array in arrays)
    if source.op_type == "Gather":
        return arrays[0].size * max(1, arrays[1].size)
    if source.op_type in ("Add", "Div", "Mul", "Sub"):
        return math.prod(np.broadcast_shapes(*[array.shape for array in arrays]))
    return arrays[0].size


def _item_bytes(source: onnx.NodeProto, arrays: Sequence[Array]) -> int:
    """A bound of the bytes of one element."""
    if source.op_type == "ConstantOfShape":
        return numpy_helper.to_array(attributes_of(source)["value"]).itemsize if source.attribute else 4
    return 8 if source.op_type == "Cast" else max(array.itemsize for array in arrays)


def _evaluate(source: onnx.NodeProto, arrays: dict[str, Array], opset: int) -> Array:
    """The first result of a node."""
    from onnx.reference import ReferenceEvaluator

    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in arrays.items()
    ]
    outputs = [helper.make_empty_tensor_value_info(source.output[0])]
    graph = helper.make_graph([source], "constant", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    results = list(ReferenceEvaluator(model).run(None, arrays))
    return np.asarray(results[0])
