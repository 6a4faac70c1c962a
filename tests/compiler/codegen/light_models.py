"""Networks of the field as other programs exported them: the graphs in the `onnx` package, with random weights.

Their weights are constants there, so that any mistake would agree. Each is replaced by seeded random values for what
reads it; the layer before the softmax is scaled, so that the answers are neither flat nor saturated.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

Array = np.ndarray[Any, Any]
FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
LOGITS = 2.0
"""The standard deviation of what enters the softmax."""

Make = Callable[[np.random.Generator, tuple[int, ...]], Array]


def _layer(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """He initialisation."""
    return random.standard_normal(shape, np.float32) * np.float32((2 / prod(shape[1:])) ** 0.5)


def _shift(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return random.standard_normal(shape, np.float32) * np.float32(0.1)


def _scale(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return random.uniform(0.5, 1.5, shape).astype(np.float32)


MAKERS: dict[tuple[str, int], Make] = {
    ("Conv", 1): _layer,
    ("Gemm", 1): _layer,
    ("BatchNormalization", 1): _scale,
    ("BatchNormalization", 4): _scale,
    ("Mul", 1): _scale,
}
"""How a constant is made by the operator that reads it and the place it is read at; shifts else."""


def light_model(name: str, seed: int = 0) -> onnx.ModelProto:
    """`light_<name>.onnx` with random weights."""
    model, random = onnx.load(FOLDER / f"light_{name}.onnx"), np.random.default_rng(seed)
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    uses = {read: (node, at) for node in model.graph.node for at, read in enumerate(node.input)}
    for node in [node for node in model.graph.node if node.op_type == "ConstantOfShape"]:
        value = node.output[0]
        reader, at = uses[value]
        if reader.op_type == "Unsqueeze":
            reader, at = uses[reader.output[0]]
        make = MAKERS.get((reader.op_type, at), _shift)
        array = make(random, tuple(int(size) for size in shapes[node.input[0]]))
        model.graph.initializer.append(numpy_helper.from_array(array, value))
        model.graph.node.remove(node)
    model.ir_version = 8  # the first versions list every constant among the inputs
    _scale_logits(model)
    return model


def _scale_logits(model: onnx.ModelProto) -> None:
    softmax = model.graph.node[-1]
    if softmax.op_type != "Softmax":
        return
    makers = {output: node for node in model.graph.node for output in node.output}
    layer = makers[softmax.input[0]]
    while layer.op_type not in ("Conv", "Gemm"):
        layer = makers[layer.input[0]]
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.append(helper.make_empty_tensor_value_info(softmax.input[0]))
    logits = run(shown, inputs_for(model, 1))[-1]
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for name in layer.input[1:]:
        array = numpy_helper.to_array(weights[name]) * np.float32(LOGITS / logits.std())
        weights[name].CopyFrom(numpy_helper.from_array(array, name))


def inputs_for(model: onnx.ModelProto, count: int) -> Array:
    """Seeded random images `[count, C, H, W]`."""
    constants = {tensor.name for tensor in model.graph.initializer}
    value = next(value for value in model.graph.input if value.name not in constants)
    shape = [entry.dim_value for entry in value.type.tensor_type.shape.dim][1:]
    return np.random.default_rng(1).standard_normal((count, *shape), np.float32)


def run(model: onnx.ModelProto, images: Array) -> list[Array]:
    """The outputs by ONNX Runtime, one row an image."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    data = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    constants = {tensor.name for tensor in model.graph.initializer}
    name = next(value.name for value in session.get_inputs() if value.name not in constants)
    rows = [session.run(None, {name: image[None]}) for image in images]
    return [np.concatenate(columns) for columns in zip(*rows, strict=True)]
