"""A classifier of 1x8x8 images small enough to compile in a second, as ONNX and as TVM's shared library."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from compiler.ir.graph import INPUT, GraphBuilder, Network, Node
from compiler.ir.ops import OPERATORS, complete
from compiler.ir.types import TensorType
from runtime.bundle import BundleTarget, Manifest, Tensor, write_bundle

SCRIPT = """
import sys
import numpy as np
import tvm
from tvm import relax

weight = relax.const(np.load(sys.argv[1]))
builder = relax.BlockBuilder()
image = relax.Var("image", relax.TensorType((1, 2, 8, 8), "float32"))
with builder.function("main", [image]):
    with builder.dataflow():
        pooled = builder.emit(relax.op.mean(image, [2, 3]))
        result = builder.emit_output(builder.emit(relax.op.matmul(pooled, weight)))
    builder.emit_func_output(result)
target = tvm.target.Target({"kind": "llvm", "mcpu": "x86-64", "mtriple": "x86_64-linux-gnu"})
tvm.compile(builder.get(), target=target).export_library(sys.argv[2])
"""
WEIGHT = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)


def network() -> Network:
    """The classifier's graph; its parameters are `{"head.weight": WEIGHT}`."""
    builder = GraphBuilder()
    builder.add(Node("image", INPUT, (), TensorType((2, 8, 8))))
    builder.add(Node("pool", "global_pool", ("image",), TensorType((2,))))
    given = complete(OPERATORS["linear"], {"out": 3, "bias": False})
    builder.add(Node("head", "linear", ("pool",), TensorType((3,)), tuple(given.items())))
    return Network("tiny", builder.build("head"))


@cache
def library(folder: Path) -> Path:
    """Compile the classifier; in a child process, since a bundle cannot run where TVM was imported."""
    np.save(folder / "weight.npy", np.ascontiguousarray(WEIGHT.T))
    script = [sys.executable, "-c", SCRIPT, str(folder / "weight.npy"), str(folder / "model.so")]
    subprocess.run(script, check=True, timeout=120)
    return folder / "model.so"


def manifest(**changes: Any) -> Manifest:
    """The manifest of the classifier's bundle."""
    given = {
        "network": "tiny",
        "target": BundleTarget("host", "x86-64", "x86_64-linux-gnu", "x86_64"),
        "input": Tensor((1, 2, 8, 8), "NCHW"),
        "output": Tensor((1, 3), "NC"),
        "labels": ("ant", "bee", "<cat>"),
        "preprocessing": {"scale": 1 / 255, "mean": [0.5, 0.5], "std": [0.25, 0.25]},
        "output_kind": "logits",
    }
    return Manifest(**{**given, **changes})


def expected(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What the classifier gives for `[N, 2, 8, 8]`."""
    result: np.ndarray[Any, Any] = images.mean(axis=(2, 3)) @ WEIGHT.T
    return result


def bundle(folder: Path, scratch: Path) -> Path:
    """The classifier's bundle in `folder`."""
    return write_bundle(folder, library(scratch), manifest()).folder
