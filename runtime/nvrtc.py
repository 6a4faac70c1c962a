"""NVIDIA's run-time compiler, NVRTC, as its Python packages bring it: where it is, and what is missing."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

PACKAGES = (
    "cuda-bindings",
    "nvidia-cuda-nvrtc",
    "nvidia-cuda-runtime",
    "nvidia-cuda-crt",
    "nvidia-cuda-cccl",
)
WAY_OUT = "pip install 'onepath[cuda]'"
_PINNED = f"{WAY_OUT} -c constraints.txt"
CUDA = 13
"""The release of CUDA that TVM's runtime is linked with."""
_HEADER = "cuda_runtime.h"


class NoNvrtc(Exception):
    """What compiles for NVIDIA GPUs is not installed; the message says what installs it."""


def require() -> Path:
    """The folder that the packages' headers and libraries lie in, as `include/` and `lib/`.

    Raises:
        NoNvrtc: a package is missing, or is of another release of CUDA than TVM's.
    """
    missing = [name for name in PACKAGES if version_of(name) is None]
    if missing:
        raise NoNvrtc(
            f"code for NVIDIA GPUs is compiled by NVRTC, and {missing[0]} is not installed; {WAY_OUT}"
        )
    for name in PACKAGES:
        if (version_of(name) or "").partition(".")[0] != str(CUDA):
            raise NoNvrtc(_other_release(name))
    distribution = importlib.metadata.distribution("nvidia-cuda-runtime")
    header = next((file for file in distribution.files or () if file.name == _HEADER), None)
    folder = None if header is None else Path(str(distribution.locate_file(header))).parent.parent
    if folder is None or not (folder / "lib" / f"libcudart.so.{CUDA}").is_file():
        raise NoNvrtc(f"nvidia-cuda-runtime has no lib/libcudart.so.{CUDA}; {_PINNED}")
    return folder


def _other_release(package: str) -> str:
    return f"TVM's runtime needs CUDA {CUDA}, and {package} is {version_of(package)}; {_PINNED}"


def version_of(package: str) -> str | None:
    """The installed release of a package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
