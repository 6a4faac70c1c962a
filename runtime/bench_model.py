"""Whether an ONNX file holds a bundle's network: it has the bundle's input, and gives its answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compiler.codegen.from_onnx import from_onnx, read_model
from dsl.suggest import counted
from runtime.bench import AGREEMENT_LIMIT, Array
from runtime.bench_contender import BenchProblem
from runtime.benchmark import relative_error
from runtime.bundle import Bundle
from runtime.checked_bundle import answers, torch_answers
from runtime.files import FileProblem
from runtime.peers import onnxruntime

INPUTS = 2
WAY_OUT = "name the ONNX file of the bundle's network with --model"


def check_model(bundle: Bundle, model: Path) -> None:
    """Compare the answers of an ONNX file, by ONNX Runtime or else by PyTorch, with the bundle's on random inputs.

    Raises:
        FileProblem: it is another network.
        OnnxProblem: it cannot be read.
        BenchProblem: the bundle cannot be run.
    """
    shape = bundle.manifest.input.shape
    taken = input_sizes(model)
    if len(taken) != len(shape) or any(size not in (0, own) for size, own in zip(taken, shape, strict=True)):
        said = f"takes {_sizes(taken)}, and the bundle {_sizes(shape)}"
        raise FileProblem(model, f"is not the bundle's network: it {said}", WAY_OUT)
    inputs = np.random.default_rng(0).standard_normal((INPUTS, *shape[1:]), dtype=np.float32)
    threads = bundle.manifest.target.threads
    own = answers({"kind": "bundle", "folder": str(bundle.folder.absolute())}, shape, threads, inputs)
    own = own.reshape(INPUTS, -1)
    found = _answers_of(model, shape, threads, inputs).reshape(INPUTS, -1)
    if found.shape != own.shape:
        said = f"answers with {counted(found.shape[1], 'value')}, and the bundle with {own.shape[1]}"
        raise FileProblem(model, f"is not the bundle's network: it {said}", WAY_OUT)
    error = relative_error(found, own)
    if not error <= AGREEMENT_LIMIT:
        said = f"answers differ from the bundle's by {error:.1e} of the largest"
        raise FileProblem(model, f"is not the bundle's network: its {said}", WAY_OUT)


def input_sizes(model: Path) -> tuple[int, ...]:
    """The sizes of a file's first input, batch included; 0 where it leaves one free.

    Raises:
        OnnxProblem: it cannot be read.
    """
    graph = read_model(model).graph
    constants = {tensor.name for tensor in graph.initializer}
    value = next((value for value in graph.input if value.name not in constants), None)
    return () if value is None else tuple(size.dim_value for size in value.type.tensor_type.shape.dim)


def _answers_of(model: Path, shape: tuple[int, ...], threads: int, inputs: Array) -> Array:
    if not onnxruntime.available():
        return torch_answers(*from_onnx(read_model(model), shape[1:]), inputs)
    setup = {"kind": "peer", "peer": onnxruntime.NAME, "model": str(model.absolute())}
    try:
        return answers(setup, shape, threads, inputs)
    except BenchProblem as problem:
        raise FileProblem(model, f"cannot be run ({problem})", WAY_OUT) from None


def _sizes(sizes: tuple[int, ...]) -> str:
    return "x".join(str(size) if size else "?" for size in sizes) or "no input"
