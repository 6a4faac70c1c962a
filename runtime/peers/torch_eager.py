"""PyTorch, operator by operator: oneDNN's convolutions, channels last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runtime.peers.conversion import torch_module
from runtime.peers.packages import installed, version_of

NAME = "torch-eager"
TITLE = "PyTorch eager"
PACKAGES: tuple[str, ...] = ("torch",)


def available() -> bool:
    """True if its package is installed."""
    return installed(PACKAGES)


def version() -> str:
    """The version of its package."""
    return version_of(PACKAGES)


def configuration(threads: int) -> Mapping[str, Any]:
    """The settings it runs with."""
    return {"threads": threads, "memory_format": "channels_last", "precision": "fp32"}


def prepare(model: Path, threads: int) -> Callable[[Any], Any]:
    """Load an ONNX model; the result takes `[1, C, H, W]` and gives `[1, classes]`, both float32."""
    import torch

    torch.set_num_threads(threads)
    return runner(torch_module(model))


def runner(module: Any) -> Callable[[Any], Any]:
    """A PyTorch module, compiled or not, that takes and gives arrays."""
    import torch

    def run(image: Any) -> Any:
        given = torch.from_numpy(image)
        if given.ndim == 4:
            given = given.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            return module(given).numpy()

    return run
