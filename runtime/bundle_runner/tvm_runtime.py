"""TVM's runtime libraries through their C interface, and the memory that its kernels work on."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from runtime.bundle_runner.manifest import BundleProblem

LIBRARIES = ("libtvm_ffi.so", "libtvm_runtime.so")
ALIGNMENT = 64
"""TVM's kernels read inputs with aligned vector loads: a misaligned buffer crashes."""


class AnyValue(ctypes.Structure):
    """TVMFFIAny of tvm/ffi/c_api.h: an argument or a result."""

    _fields_ = [("kind", ctypes.c_int32), ("padding", ctypes.c_uint32), ("value", ctypes.c_uint64)]


class _Bytes(ctypes.Structure):
    """TVMFFIByteArray."""

    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t)]


class TensorValue(ctypes.Structure):
    """DLTensor of dlpack.h, and the two last fields of DLManagedTensor after it."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("type_code", ctypes.c_uint8),
        ("type_bits", ctypes.c_uint8),
        ("type_lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.c_void_p),
        ("offset", ctypes.c_uint64),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    ]


_INT, _STRING, _FUNCTION, _TENSOR, _MODULE = 1, 8, 68, 70, 73
HEADER_BYTES = 24
CPU, _FLOAT, _FLOAT_BITS = 1, 2, 32
_HUGE_PAGE, _MADV_HUGEPAGE, _MADV_COLLAPSE = 2 << 20, 14, 25
"""Linux: the page size of x86-64 and usual aarch64 kernels; the advice to use them from now on, and at once (6.1)."""


class Runtime:
    """TVM's C interface: find a function, call it."""

    def __init__(self, folder: Path) -> None:
        if "tvm_ffi" in sys.modules:
            raise BundleProblem("this process has loaded TVM already; run the bundle in a process of its own")
        ffi, runtime = (_library(folder / name) for name in LIBRARIES)
        try:
            self._ffi = ctypes.CDLL(str(ffi), ctypes.RTLD_GLOBAL)
            ctypes.CDLL(str(runtime), ctypes.RTLD_GLOBAL)
        except OSError as problem:
            raise BundleProblem(f"TVM's runtime libraries cannot be loaded: {problem}") from None
        self._get = self.function("ffi.ModuleGetFunction")

    def function(self, name: str) -> AnyValue:
        """A function of the runtime, by its global name."""
        text, handle = ctypes.create_string_buffer(name.encode()), ctypes.c_void_p()
        key = _Bytes(ctypes.addressof(text), len(name))
        self._check(self._ffi.TVMFFIFunctionGetGlobal(ctypes.byref(key), ctypes.byref(handle)))
        if not handle.value:
            raise BundleProblem(f"TVM's runtime libraries lack `{name}`; take those of the bundle")
        return AnyValue(_FUNCTION, 0, handle.value)

    def method(self, module: AnyValue, name: str) -> AnyValue:
        """A function of a module."""
        found = self.call(self._get, module, name, 1)
        if found.kind != _FUNCTION:
            raise BundleProblem(f"the model lacks the function `{name}`")
        return found

    def call(self, function: AnyValue, *arguments: Any) -> AnyValue:
        """The result of a call; the caller owns it."""
        kept = [ctypes.create_string_buffer(a.encode()) if isinstance(a, str) else a for a in arguments]
        views = (AnyValue * max(1, len(kept)))(*[_view(argument) for argument in kept])
        result = AnyValue()
        handle = ctypes.c_void_p(function.value)
        self._check(self._ffi.TVMFFIFunctionCall(handle, views, len(kept), ctypes.byref(result)))
        return result

    def prepared(self, function: AnyValue, argument: AnyValue) -> Callable[[], int]:
        """A call that is made many times, its arguments laid out once; it gives the address of the result."""
        views, result = (AnyValue * 1)(argument), AnyValue()
        given = ctypes.c_void_p(function.value), views, ctypes.c_int32(1), ctypes.byref(result)
        call = self._ffi.TVMFFIFunctionCall

        def run() -> int:
            # The runtime wants an empty result: it is not ours to give back.
            result.kind = result.padding = result.value = 0
            status = call(*given)
            if status:
                self._check(status)
            address: int = result.value
            return address

        return run

    def release(self, address: int) -> None:
        """Give back a result by its address."""
        self._ffi.TVMFFIObjectDecRef(ctypes.c_void_p(address))

    def tensor(self, array: np.ndarray[Any, Any]) -> tuple[AnyValue, Any]:
        """An aligned float32 array as a tensor without a copy, and what must stay alive with it."""
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        managed = TensorValue(array.ctypes.data, CPU, 0, array.ndim, _FLOAT, _FLOAT_BITS, 1, shape, None, 0)
        handle = ctypes.c_void_p()
        made = self._ffi.TVMFFITensorFromDLPack(ctypes.byref(managed), ALIGNMENT, 1, ctypes.byref(handle))
        self._check(made)
        return AnyValue(_TENSOR, 0, handle.value or 0), (managed, shape, array)

    def _check(self, status: int) -> None:
        if status:
            error = ctypes.c_void_p()
            self._ffi.TVMFFIErrorMoveFromRaised(ctypes.byref(error))
            cell = (_Bytes * 2).from_address((error.value or 0) + HEADER_BYTES)
            message = ctypes.string_at(cell[1].data or 0, cell[1].size).decode(errors="replace")
            raise BundleProblem(f"TVM: {message.strip()}")


def _library(path: Path) -> Path:
    """A runtime library, or its equal that this process has loaded from another bundle: a second one would end it.

    Raises:
        BundleProblem: another version of it is loaded.
    """
    for line in memory_map():
        loaded = Path(line.split(maxsplit=5)[-1])
        if loaded.name.startswith(path.name):
            if loaded.name == path.name and _same_content(loaded, path):
                return loaded
            raise BundleProblem(
                f"this process has loaded another version of TVM's runtime ({loaded}); run the bundle in a "
                "process of its own"
            )
    return path


def _same_content(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other) or one.read_bytes() == other.read_bytes()
    except OSError:
        return False


def memory_map() -> list[str]:
    """What Linux says of the memory of this process, a range a line; nothing elsewhere."""
    try:
        return Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []


def _view(argument: Any) -> AnyValue:
    if isinstance(argument, AnyValue):
        return argument
    if isinstance(argument, int):
        return AnyValue(_INT, 0, argument)
    return AnyValue(_STRING, 0, ctypes.addressof(argument))


def aligned(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    size = int(np.prod(shape)) * 4
    block = np.zeros(size + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + size].view(np.float32).reshape(shape)


def use_huge_pages() -> None:
    """Ask Linux to hold this process's large arrays in pages of 2 MiB instead of 4 KiB.

    Networks gain 2 to 8%, and their times no longer depend on which pages a process happens to get. Where the
    system does not offer it, nothing changes.
    """
    try:
        advise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return
    for line in memory_map():
        bounds, permissions, _, _, inode, *_ = line.split()
        start, stop = (int(bound, 16) for bound in bounds.split("-"))
        start, stop = -(-start // _HUGE_PAGE) * _HUGE_PAGE, stop // _HUGE_PAGE * _HUGE_PAGE
        if permissions == "rw-p" and inode == "0" and start < stop:
            for advice in (_MADV_HUGEPAGE, _MADV_COLLAPSE):
                advise(ctypes.c_void_p(start), ctypes.c_size_t(stop - start), advice)
