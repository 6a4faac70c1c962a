"""A loaded model: its threads and cores, its input and output."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runtime.bundle_runner.manifest import BundleProblem, check_machine, placement, read_manifest
from runtime.bundle_runner.pinning import spread
from runtime.bundle_runner.tvm_runtime import CPU, HEADER_BYTES, Runtime, TensorValue, aligned, use_huge_pages

_ANY_CORE = 1
"""`kBig` of tvm/runtime/threading_backend.h: which cores TVM would pin to, if it were to pin."""


class Model:
    """A loaded model. One process loads one set of runtime libraries, and not beside the `tvm` package."""

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        threads: int,
        library: Path | None = None,
        cores: Sequence[int] = (),
    ) -> None:
        """Load `library` (the bundle's `model.so`) for inputs of `shape`, batch included.

        With as many `cores` as threads, or more, each thread keeps to one of them.
        """
        # Left to itself, TVM takes all cores, and pins its threads from the first core up.
        os.environ |= {"TVM_NUM_THREADS": str(threads), "TVM_BIND_THREADS": "0"}
        self._runtime = Runtime(folder / "lib")
        if threads > 1:
            start = self._runtime.function("runtime.config_threadpool")
            spread(cores[:threads], lambda: self._runtime.call(start, _ANY_CORE, threads))
        path = (library or folder / "model.so").resolve()
        module = self._runtime.call(self._runtime.function("ffi.ModuleLoadFromFile"), str(path))
        machine = self._runtime.call(self._runtime.method(module, "vm_load_executable"))
        # One CPU with pooled memory, and the host beside it: (device type, device, allocator) twice.
        self._runtime.call(self._runtime.method(machine, "vm_initialization"), CPU, 0, 2, CPU, 0, 2)
        self._main = self._runtime.method(machine, "main")
        self._output: tuple[int, ...] | None = None
        self._values: Any = None
        self._buffer = aligned(shape)
        self._input, self._alive = self._runtime.tensor(self._buffer)
        self._call = self._runtime.prepared(self._main, self._input)

    def run(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The output for one float32 input of the model's shape.

        Raises:
            BundleProblem: the input has another shape or type.
        """
        if values.dtype != np.float32 or values.shape != self._buffer.shape:
            raise BundleProblem(
                f"the input is {values.dtype} {list(values.shape)}, and the network takes "
                f"float32 {list(self._buffer.shape)}"
            )
        self._buffer[...] = values
        return self.run_again()

    def run_again(self) -> np.ndarray[Any, Any]:
        """The output for the last input, computed again."""
        address = self._call()
        tensor = TensorValue.from_address(address + HEADER_BYTES)
        if self._output is None:
            use_huge_pages()
            self._output = tuple(tensor.shape[axis] for axis in range(tensor.rank))
            self._values = ctypes.c_float * int(np.prod(self._output))
        values = self._values.from_address(tensor.data + tensor.offset)
        output = np.frombuffer(values, np.float32).reshape(self._output).copy()
        self._runtime.release(address)
        return output


def load(folder: Path, threads: int | None = None, cores: Sequence[int] | None = None) -> Model:
    """The model of a bundle, every file of which is compared with the manifest before it is loaded.

    Raises:
        BundleProblem: the bundle is damaged or not for this machine, or cannot run on these threads and cores.
    """
    return open_model(folder, read_manifest(folder), threads, cores)


def open_model(
    folder: Path,
    manifest: dict[str, Any],
    threads: int | None = None,
    cores: Sequence[int] | None = None,
) -> Model:
    """The model of a bundle whose manifest was read, on as many threads as it was built for unless told otherwise.

    With `cores` this thread and those of the model run on these processors alone; of several threads, each on one.

    Raises:
        BundleProblem: it is not for this machine, or cannot run on these threads and cores.
    """
    check_machine(manifest)
    count, chosen = placement(manifest["target"]["threads"], threads, cores)
    if chosen:
        os.sched_setaffinity(0, chosen)
    return Model(folder, tuple(manifest["input"]["shape"]), count, cores=chosen)
