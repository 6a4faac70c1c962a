"""OpenVINO on the CPU, in fp32: left alone it computes in bfloat16 where the processor can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runtime.peers.packages import installed, version_of

NAME = "openvino"
TITLE = "OpenVINO"
PACKAGES: tuple[str, ...] = ("openvino",)


def available() -> bool:
    """True if its package is installed."""
    return installed(PACKAGES)


def version() -> str:
    """The version of its package."""
    return version_of(PACKAGES)


def configuration(threads: int) -> Mapping[str, Any]:
    """The settings it runs with, by OpenVINO's names; pinning is left to the benchmark."""
    return {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }


def prepare(model: Path, threads: int) -> Callable[[Any], Any]:
    """Load an ONNX model; the result takes `[1, C, H, W]` and gives `[1, classes]`, both float32."""
    import openvino

    compiled = openvino.Core().compile_model(str(model), "CPU", dict(configuration(threads)))
    request, output = compiled.create_infer_request(), compiled.output(0)
    return lambda image: request.infer({0: image})[output].copy()
