"""Read ONNX, ours or another's, into a network and its weights.

What `to_onnx` wrote reads back with the same names, operators and units. Other models are read where they
keep to the operators of the table: batch 1 (or a free batch), fp32, one input, one output, square windows.
A model is refused, with each node and the reason, before anything of it is used: weights outside the file,
operators of other domains, shapes that do not fit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx

from compiler.codegen.onnx_constants import FOLDED, fold
from compiler.codegen.onnx_reader import OnnxProblem, Reader
from compiler.codegen.onnx_rules import RULES
from compiler.codegen.to_onnx import SCHEMA
from compiler.ir.expression import Assignment, Literal, Scalar
from compiler.ir.graph import INPUT, Network
from compiler.ir.ops import SIZE_CAP
from compiler.ir.types import TensorType
from compiler.passes.fold import Array
from dsl.suggest import counted

NODE_CAP = 20_000
BYTES_CAP = 2**31 - 1
"""The most that a protobuf message holds."""
NAMED_CAP = 20
"""Problems that a message lists."""
OLDEST_OPSET = 9
TYPES = tuple(getattr(onnx.TensorProto, name) for name in ("FLOAT", "DOUBLE", "INT32", "INT64", "BOOL"))
"""Types of constants that are looked at; weights must be float32, the others are shapes and bounds."""
CHECKER_PROBLEMS = (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    ValueError,
    TypeError,
    RuntimeError,
)
DEFAULT_DOMAINS = ("", "ai.onnx")


def parse_model(data: bytes) -> onnx.ModelProto:
    """The model in the bytes of a file.

    Raises:
        OnnxProblem: they are no ONNX model.
    """
    if not data:
        raise OnnxProblem("the file is empty (0 bytes): export the model again")
    try:
        return onnx.load_model_from_string(data)
    except Exception as problem:  # protobuf's DecodeError has no narrower base
        raise OnnxProblem(f"this is no ONNX model ({problem})") from None


def read_model(path: Path) -> onnx.ModelProto:
    """The model in a file.

    Raises:
        OnnxProblem: it cannot be read, or is no ONNX model.
    """
    try:
        if path.exists() and not path.is_file():
            raise OnnxProblem("this is no file")
        if path.stat().st_size > BYTES_CAP:
            raise OnnxProblem("this is larger than 2 GiB, the most that an ONNX file holds")
        return parse_model(path.read_bytes())
    except OSError as problem:
        raise OnnxProblem(f"{path} cannot be read ({problem.strerror})") from None
    except OnnxProblem as problem:
        raise OnnxProblem(f"{path}: {problem}") from None


def from_onnx(
    model: onnx.ModelProto, input_sizes: Sequence[int] | None = None
) -> tuple[Network, dict[str, Array]]:
    """The network of a model, and its parameters by `<node>.weight`, `.bias` and so on.

    `input_sizes` are the dimensions of its input without the batch, where the model leaves them free.

    Raises:
        OnnxProblem: the model is invalid, or holds what a network cannot; the message names the node.
    """
    if input_sizes is not None:
        model = _with_input(model, input_sizes)
    _check(model)
    notes = {entry.key: entry.value for entry in model.metadata_props}
    try:
        reader = Reader(model.graph, "onepath.schema" in notes, _opset(model))
    except ValueError as problem:
        raise OnnxProblem(f"a constant cannot be read ({problem})") from None
    for value in _inputs(model.graph):
        reader.add_input(value.name, _input_type(value))
    # Constants first, so that who looks ahead knows them.
    _read_all(reader, sorted(model.graph.node, key=lambda node: node.op_type != "Constant"))
    output = reader.values.get(model.graph.output[0].name)
    if output is not None and output.form not in ("", "pixel"):
        raise OnnxProblem("the model's output is reshaped or transposed; end it before")
    if output is None or reader.nodes[output.node].op == INPUT:
        raise OnnxProblem("the model's output is computed by no operator")
    name = notes.get("onepath.space") or re.sub(r"\W+", "_", model.graph.name).strip("_") or "network"
    network, parameters = reader.build(output.node), reader.live_parameters(output.node)
    _refuse_infinite(parameters)
    return Network(name, network, _choices(notes)), parameters


def _refuse_infinite(parameters: Mapping[str, Array]) -> None:
    """Refuse weights that make every answer NaN, which no comparison of answers could tell from a wrong kernel."""
    counts = {name: int(np.count_nonzero(~np.isfinite(array))) for name, array in parameters.items()}
    wrong = {name: count for name, count in counts.items() if count}
    if wrong:
        name, count = next(iter(wrong.items()))
        more = len(wrong) - 1
        others = (
            f", and {counted(more, 'other parameter')} {'has' if more == 1 else 'have'} some" if more else ""
        )
        raise OnnxProblem(
            f"`{name}` holds {counted(count, 'value')} of {parameters[name].size:,} that are NaN or infinite{others}; "
            "did the training diverge? export a network whose weights are finite"
        )


def _read_all(reader: Reader, nodes: Sequence[onnx.NodeProto]) -> None:
    """Read every node. What cannot be read takes along what needs its result, so that each problem is told, once.

    Raises:
        OnnxProblem: nodes cannot be read; all of them are named.
    """
    problems: list[str] = []
    lost: set[str] = set()
    for node in nodes:
        try:
            if not _is_known(node):
                raise OnnxProblem(f"{reader.label(node)} is not supported")
            if lost.isdisjoint(node.input):
                _read(reader, node)
            else:
                lost.update(filter(None, node.output))
        except OnnxProblem as problem:
            problems.append(str(problem))
            lost.update(filter(None, node.output))
    if problems:
        supported = f"supported are {', '.join(sorted(RULES))}" if not all(map(_is_known, nodes)) else ""
        raise OnnxProblem(_listed(problems, supported))


def _listed(problems: Sequence[str], supported: str) -> str:
    if len(problems) == 1:
        return "; ".join(filter(None, (problems[0], supported)))
    more = [f"and {len(problems) - NAMED_CAP} more"] if len(problems) > NAMED_CAP else []
    lines = [f"{len(problems)} nodes cannot be read", *problems[:NAMED_CAP], *more]
    return "\n".join(filter(None, ("\n  ".join(lines), supported)))


def _is_known(node: onnx.NodeProto) -> bool:
    """Whether a rule reads the operator, or its result is computed where all that it reads is constant."""
    return node.domain in DEFAULT_DOMAINS and node.op_type in (*RULES, *FOLDED)


def _read(reader: Reader, node: onnx.NodeProto) -> None:
    if node.output and node.output[0] in reader.absorbed:
        return
    try:
        if fold(reader, node):
            return
        if node.op_type not in RULES:
            raise reader.refuse(node, "it is only supported where all that it reads is constant")
        RULES[node.op_type](reader, node)
    except OnnxProblem:
        raise
    except (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError) as problem:
        raise reader.refuse(node, str(problem)) from None


def _check(model: onnx.ModelProto) -> None:
    if len(model.graph.node) > NODE_CAP:
        raise OnnxProblem(f"the model has {len(model.graph.node)} nodes; the limit is {NODE_CAP}")
    if model.functions or model.graph.sparse_initializer:
        raise OnnxProblem("functions and sparse weights are not supported; export the model without them")
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise OnnxProblem(f"the weights `{tensor.name}` lie outside the file; save them inside it")
        if tensor.data_type not in TYPES:
            raise OnnxProblem(f"the constant `{tensor.name}` is of a type that is not supported; use float32")
    try:
        onnx.checker.check_model(model, full_check=True)
    except CHECKER_PROBLEMS as problem:
        raise OnnxProblem(f"ONNX's checker refuses the model: {str(problem).strip()[:500]}") from None
    _check_head(model)


def _check_head(model: onnx.ModelProto) -> None:
    opset = _opset(model)
    if opset < OLDEST_OPSET:
        raise OnnxProblem(f"opset {opset} is older than {OLDEST_OPSET}; convert the model")
    schema = next((entry.value for entry in model.metadata_props if entry.key == "onepath.schema"), SCHEMA)
    if schema != SCHEMA:
        raise OnnxProblem(
            f"the model is of schema {schema}, and this program reads {SCHEMA}; export it again"
        )
    if len(_inputs(model.graph)) != 1 or len(model.graph.output) != 1:
        raise OnnxProblem("the model must have one input and one output")


def _opset(model: onnx.ModelProto) -> int:
    return next((int(entry.version) for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS), 0)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every constant of a graph and of the graphs in its nodes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from ([attribute.t] if attribute.HasField("t") else attribute.tensors)
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from _tensors(inner)


def _inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    constants = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in constants]


def _with_input(model: onnx.ModelProto, sizes: Sequence[int]) -> onnx.ModelProto:
    """A copy whose input has these sizes, and batch 1; what the file says of values between goes, it may differ."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    for value in _inputs(fixed.graph):
        wanted, dimensions = (1, *sizes), value.type.tensor_type.shape.dim
        fits = len(dimensions) == len(wanted) and all(
            old.dim_value in (0, new) or not old.HasField("dim_value")
            for old, new in zip(dimensions[1:], sizes, strict=True)
        )
        if not fits:
            given = "x".join(map(str, sizes))
            raise OnnxProblem(
                f"the input `{value.name}` is {_shape_text(value)}, and {given} does not fit it"
            )
        for dimension, size in zip(dimensions, wanted, strict=True):
            dimension.dim_value = size
    return fixed


def _dimensions(value: onnx.ValueInfoProto) -> list[int]:
    """The dimensions of an input, -1 for those that are free: named, unknown, or 0 or less, as some programs write."""
    return [
        entry.dim_value if entry.HasField("dim_value") and entry.dim_value > 0 else -1
        for entry in value.type.tensor_type.shape.dim
    ]


def _shape_text(value: onnx.ValueInfoProto) -> str:
    return "x".join(str(size) if size >= 0 else "?" for size in _dimensions(value))


def _input_type(value: onnx.ValueInfoProto) -> TensorType:
    tensor = value.type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        raise OnnxProblem(f"the input `{value.name}` is not float32; other types come later")
    batch, *sizes = _dimensions(value) or [0]
    if batch in (-1, 1) and 1 <= len(sizes) <= 3 and -1 in sizes and max(sizes) <= SIZE_CAP:
        example = "x".join(str(size) if size > 0 else "224" for size in sizes)
        raise OnnxProblem(
            f"the input `{value.name}` is {_shape_text(value)}, and a network is built for fixed sizes: state them "
            f"without the batch, as in `--input-shape {example}`"
        )
    if batch not in (-1, 1) or not 1 <= len(sizes) <= 3 or not all(1 <= size <= SIZE_CAP for size in sizes):
        raise OnnxProblem(
            f"the input `{value.name}` is {_shape_text(value)}; it must be 1 (or free) and fixed sizes"
        )
    return TensorType(tuple(sizes))


def _choices(notes: dict[str, str]) -> Assignment:
    try:
        choices = json.loads(notes.get("onepath.choices", "{}"))
        return {str(path): _literal(choice) for path, choice in choices.items()}
    except (ValueError, AttributeError, RecursionError, ZeroDivisionError) as problem:
        raise OnnxProblem(f"the metadata `onepath.choices` cannot be read ({problem})") from None


def _literal(choice: object) -> Literal:
    return tuple(map(_scalar, choice)) if isinstance(choice, list) else _scalar(choice)


def _scalar(choice: object) -> Scalar:
    if isinstance(choice, str) and re.fullmatch(r"-?\d{1,30}/\d{1,30}", choice):
        return Fraction(choice)
    if isinstance(choice, bool | int | str):
        return choice
    raise ValueError(f"{choice!r} is no choice")
