"""ONNX Runtime, on the CPU, all graph optimisations on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runtime.peers.packages import installed, version_of

NAME = "onnxruntime"
TITLE = "ONNX Runtime"
PACKAGES: tuple[str, ...] = ("onnxruntime",)


def available() -> bool:
    """True if its package is installed."""
    return installed(PACKAGES)


def version() -> str:
    """The version of its package."""
    return version_of(PACKAGES)


def configuration(threads: int) -> Mapping[str, Any]:
    """The settings it runs with."""
    return {
        "provider": "CPUExecutionProvider",
        "threads": threads,
        "optimisation": "all",
        "precision": "fp32",
    }


def session_options(threads: int) -> Any:
    """The options of a session with these settings."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return options


def prepare(model: Path, threads: int) -> Callable[[Any], Any]:
    """Load an ONNX model; the result takes `[1, C, H, W]` and gives `[1, classes]`, both float32."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(model), session_options(threads), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    return lambda image: session.run(None, {name: image})[0]
