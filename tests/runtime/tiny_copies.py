"""Networks that give their input back, so that what a runner feeds a network can be seen."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import tiny_model

from runtime.bundle import Tensor, write_bundle

SCRIPT = """
import sys
import tvm
from tvm import relax

target = tvm.target.Target({"kind": "llvm", "mcpu": "x86-64", "mtriple": "x86_64-linux-gnu"})
for text, path in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    image = relax.Var("image", relax.TensorType(tuple(map(int, text.split(","))), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [image]):
        with builder.dataflow():
            result = builder.emit_output(builder.emit(relax.op.multiply(image, relax.const(1.0))))
        builder.emit_func_output(result)
    tvm.compile(builder.get(), target=target).export_library(path)
"""


def libraries(folder: Path, *shapes: tuple[int, ...]) -> list[Path]:
    """Compile one for each shape, batch included, in a child process."""
    paths = [folder / f"{'x'.join(map(str, shape))}.so" for shape in shapes]
    words = [
        word
        for shape, path in zip(shapes, paths, strict=True)
        for word in (",".join(map(str, shape)), str(path))
    ]
    subprocess.run([sys.executable, "-c", SCRIPT, *words], check=True, timeout=120)
    return paths


def bundle(folder: Path, library: Path, shape: tuple[int, ...], **changes: Any) -> Path:
    """A bundle of one, with a mean and deviation a channel."""
    channels = shape[1]
    manifest = tiny_model.manifest(
        input=Tensor(shape, "NCHW"),
        output=Tensor(shape, "NCHW"),
        output_kind="values",
        preprocessing={
            "scale": 1 / 255,
            "mean": [0.1 * (channel + 1) for channel in range(channels)],
            "std": [0.3 / (channel + 1) for channel in range(channels)],
        },
    )
    return write_bundle(folder, library, dataclasses.replace(manifest, **changes)).folder
