"""ncnn on the CPU, in fp32; pnnx converts the model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from runtime.peers.conversion import convert
from runtime.peers.packages import installed, version_of

NAME = "ncnn"
TITLE = "ncnn"
PACKAGES: tuple[str, ...] = ("ncnn", "pnnx")
LOWER_PRECISION = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
    "use_int8_inference",
)
"""Options that would trade precision for speed; `use_int8_inference` runs only what was quantised."""


def available() -> bool:
    """True if its packages are installed."""
    return installed(PACKAGES)


def version() -> str:
    """The version of its package."""
    return version_of(PACKAGES)


def configuration(threads: int) -> Mapping[str, Any]:
    """The settings it runs with, by ncnn's names."""
    return {"num_threads": threads, "use_vulkan_compute": False, **dict.fromkeys(LOWER_PRECISION, False)}


def prepare(model: Path, threads: int) -> Callable[[Any], Any]:
    """Convert and load an ONNX model; the result takes `[1, C, H, W]` and gives `[1, classes]`, both float32.

    Raises:
        CannotConvert: pnnx refused the model.
    """
    import ncnn
    import numpy as np

    net = ncnn.Net()
    for name, value in configuration(threads).items():
        setattr(net.opt, name, value)
    with TemporaryDirectory(prefix="onepath-") as folder:
        stem = _converted(model, Path(folder))
        if net.load_param(f"{stem}.param") or net.load_model(f"{stem}.bin"):
            raise RuntimeError("ncnn cannot load what pnnx converted")
    source, result = net.input_names()[0], net.output_names()[0]

    def run(image: Any) -> Any:
        extractor = net.create_extractor()
        extractor.input(source, ncnn.Mat(image[0]))
        return np.array(extractor.extract(result)[1])[None]

    return run


def _converted(model: Path, folder: Path) -> Path:
    """The model as ncnn's two files `<stem>.param` and `<stem>.bin`, weights in fp32."""
    import onnx
    import pnnx

    tensor = onnx.load(model, load_external_data=False).graph.input[0].type.tensor_type
    sizes = ",".join(str(axis.dim_value or 1) for axis in tensor.shape.dim)
    shutil.copyfile(model, folder / "model.onnx")
    convert([pnnx.EXEC_PATH, "model.onnx", f"inputshape=[{sizes}]", "fp16=0"], folder)
    return folder / "model.ncnn"
