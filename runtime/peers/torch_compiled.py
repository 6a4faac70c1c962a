"""PyTorch through `torch.compile`: Inductor writes C++ for what stands between oneDNN's convolutions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runtime.peers.conversion import torch_module
from runtime.peers.packages import installed, version_of
from runtime.peers.torch_eager import runner

NAME = "torch-compiled"
TITLE = "PyTorch compiled"
PACKAGES: tuple[str, ...] = ("torch",)
OPTIONS = {"freezing": True, "compile_threads": 1}
"""Weights as constants, laid out once; no processes that compile and then wait beside what is timed."""


def available() -> bool:
    """True if its package is installed."""
    return installed(PACKAGES)


def version() -> str:
    """The version of its package."""
    return version_of(PACKAGES)


def configuration(threads: int) -> Mapping[str, Any]:
    """The settings it runs with."""
    return {
        "threads": threads,
        "memory_format": "channels_last",
        "precision": "fp32",
        "backend": "inductor",
        **OPTIONS,
    }


def prepare(model: Path, threads: int) -> Callable[[Any], Any]:
    """Load an ONNX model, compiled at its first run; it takes `[1, C, H, W]` and gives `[1, classes]`, both float32."""
    import torch

    torch.set_num_threads(threads)
    return runner(torch.compile(torch_module(model), options=dict(OPTIONS)))
