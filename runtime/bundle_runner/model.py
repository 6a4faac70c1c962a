"""A loaded model: its threads and cores, its input and output."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runtime.bundle_runner.manifest import BundleProblem, check_machine, placement, read_manifest
from runtime.bundle_runner.pinning import kept_to
from runtime.bundle_runner.pool import POOL, ThreadPool
from runtime.bundle_runner.tvm_runtime import CPU, HEADER_BYTES, Runtime, TensorValue, aligned, use_huge_pages


class Model:
    """A loaded model: one run at a time, by whichever thread asks; others wait for their turn.

    For streams that run at once, load a model for each. A process loads one version of TVM's runtime libraries,
    and none beside the `tvm` package.
    """

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        threads: int,
        library: Path | None = None,
        cores: Sequence[int] = (),
    ) -> None:
        """Load `library` (the bundle's `model.so`) for inputs of `shape`, batch included.

        With as many `cores` as threads, or more, each thread keeps to one of them: the worker threads always, the
        one that calls `run` until it returns.
        """
        self._threads, self._cores, self._lock = threads, tuple(cores), threading.Lock()
        self._runtime = Runtime(folder / "lib")
        ThreadPool.allow(threads)
        with kept_to(POOL.place(self._runtime, threads, self._cores)):
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

    def run(self, values: Any) -> np.ndarray[Any, Any]:
        """The output, as the network gives it, for one float32 input of the model's shape, batch included.

        The input is an array, or what numpy makes one of; plain numbers in lists become float32. They are not
        looked at: where one is not finite, neither need the output be.

        Raises:
            BundleProblem: the input has another shape or type.
        """
        array = as_array(values)
        if array.dtype != np.float32 or array.shape != self._buffer.shape:
            raise BundleProblem(_unfit(array, self._buffer.shape))
        with self._lock:
            self._buffer[...] = array
            return self._compute()

    def run_again(self) -> np.ndarray[Any, Any]:
        """The output for the last input, computed again."""
        with self._lock:
            return self._compute()

    def _compute(self) -> np.ndarray[Any, Any]:
        own = POOL.place(self._runtime, self._threads, self._cores)
        address = self._call_on(own) if own else self._call()
        tensor = TensorValue.from_address(address + HEADER_BYTES)
        if self._output is None:
            use_huge_pages()
            self._output = tuple(tensor.shape[axis] for axis in range(tensor.rank))
            self._values = ctypes.c_float * int(np.prod(self._output))
        values = self._values.from_address(tensor.data + tensor.offset)
        output = np.frombuffer(values, np.float32).reshape(self._output).copy()
        self._runtime.release(address)
        return output

    def _call_on(self, cores: tuple[int, ...]) -> int:
        with kept_to(cores):
            return self._call()


def as_array(values: Any) -> np.ndarray[Any, Any]:
    """The values as an array: of their own type where they state one, else numbers as float32.

    Raises:
        BundleProblem: they are no array of numbers.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"its values are of type {array.dtype}")
        return array if hasattr(values, "dtype") else array.astype(np.float32)
    except (ValueError, TypeError, RuntimeError, OverflowError) as problem:
        raise BundleProblem(
            f"the input, of type {type(values).__name__}, is no array of numbers ({problem})"
        ) from None


def _unfit(array: np.ndarray[Any, Any], wanted: tuple[int, ...]) -> str:
    """What is wrong with an input, and the way out where it is a small step."""
    said = f"the input is {array.dtype} {list(array.shape)}, and the network takes float32 {list(wanted)}"
    if array.shape == wanted:
        return f"{said}; convert it with `.astype(numpy.float32)`"
    return f"{said}; add the batch with `[None]`" if array.shape == wanted[1:] else said


def load(
    folder: str | os.PathLike[str], threads: int | None = None, cores: Sequence[int] | None = None
) -> Model:
    """The model of a bundle, every file of which is compared with the manifest before it is loaded.

    Raises:
        BundleProblem: the bundle is damaged or not for this machine, or cannot run on these threads and cores.
    """
    path = Path(folder)
    return open_model(path, read_manifest(path), threads, cores)


def open_model(
    folder: Path,
    manifest: dict[str, Any],
    threads: int | None = None,
    cores: Sequence[int] | None = None,
) -> Model:
    """The model of a bundle whose manifest was read, on as many threads as it was built for unless told otherwise.

    With `cores` it computes on these processors alone; of several threads, each on one. The thread that loads
    it or runs it may go on where it could before.

    Raises:
        BundleProblem: it is not for this machine, or cannot run on these threads and cores.
    """
    check_machine(manifest)
    count, chosen = placement(manifest["target"]["threads"], threads, cores)
    return Model(folder, tuple(manifest["input"]["shape"]), count, cores=chosen)
