"""Make TVM compile for NVIDIA GPUs in this process, where there need be none.

TVM turns CUDA source into machine code only once its own CUDA runtime is loaded, which asks for the driver's
library. Building calls nothing of the driver, so an empty library of its name stands in for it.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from compiler.codegen.tvm_api import has_cuda_modules
from runtime import device
from runtime.linker import compiler_for
from runtime.nvrtc import CUDA, require
from runtime.tvm_libraries import runtime_library

_DRIVER = "libcuda.so.1"


def prepare() -> list[str]:
    """Make TVM compile CUDA source in this process; the folders of headers that the source needs.

    Raises:
        NoNvrtc: it is not installed.
        NoCompiler, LinkFailed: there is no C compiler for this machine.
    """
    folder = require()
    os.environ["CUDA_PATH"] = str(folder)  # where TVM looks for headers before it looks for an nvcc
    for library in sorted((folder / "lib").glob("libnvrtc-builtins.so.*")):
        _load(library)
    if not has_cuda_modules():
        _load_runtime(folder)
    return [str(folder / "include" / "cccl")]


def _load_runtime(folder: Path) -> None:
    """Load TVM's CUDA runtime, with an empty driver where there is none."""
    _load(folder / "lib" / f"libcudart.so.{CUDA}")
    try:
        ctypes.CDLL(_DRIVER, ctypes.RTLD_GLOBAL)
    except OSError:
        with TemporaryDirectory(prefix="onepath-") as scratch:
            stub = Path(scratch) / _DRIVER
            (Path(scratch) / "empty.c").write_text("")
            compiler_for(device.host()).run(
                ["-shared", f"-Wl,-soname,{_DRIVER}", "-o", str(stub), f"{scratch}/empty.c"]
            )
            _load(stub)
    _load(runtime_library("tvm").with_name("libtvm_runtime_cuda.so"))


def _load(library: Path) -> None:
    # Lazily: the functions of the driver that the stub lacks are never called.
    ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL | os.RTLD_LAZY)
