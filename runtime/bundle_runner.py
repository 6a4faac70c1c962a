"""Run this bundle: `python runner.py IMAGE.png` or `python runner.py ARRAY.npy`.

This one file needs Python 3.9, numpy and the two libraries in `lib/`; PNG and other images need Pillow.
Every file is compared with the manifest before anything is loaded. An array of type uint8 holds pixels
and is preprocessed as the manifest says; an array of type float32 is given to the network as it is.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SCHEMA = "onepath.bundle/1"
ALIGNMENT = 64
"""TVM's kernels read inputs with aligned vector loads: a misaligned buffer crashes."""


class BundleProblem(Exception):
    """A bundle or an input that cannot be used: what is wrong, and the way out."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a bundle, its own checksum and each file's size and SHA-256 compared.

    Raises:
        BundleProblem: a file is missing, damaged or changed, or the manifest is of another version.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        content = {key: value for key, value in manifest.items() if key != "checksum"}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    except (OSError, ValueError, AttributeError, RecursionError) as problem:
        raise BundleProblem(f"{folder}/manifest.json cannot be read ({problem}); is this a bundle?") from None
    if content.get("schema") != SCHEMA:
        raise BundleProblem(f"{folder} is of schema {content.get('schema')}, and this runner reads {SCHEMA}")
    if manifest.get("checksum") != "sha256:" + hashlib.sha256(canonical).hexdigest():
        raise BundleProblem(f"{folder}/manifest.json was damaged or changed; build the bundle again")
    try:
        for name, entry in content["files"].items():
            check_file(folder, name, entry)
    except (KeyError, TypeError, AttributeError):
        raise BundleProblem(f"{folder}/manifest.json lists no files; build the bundle again") from None
    return content


def check_file(folder: Path, name: str, entry: dict[str, Any]) -> None:
    """Compare one file with its entry in the manifest.

    Raises:
        BundleProblem: it is missing, no plain file inside the folder, or was changed.
    """
    path = folder / name
    inside = os.path.join(os.path.realpath(folder), os.path.normpath(name))
    # The whole path is compared: a linked folder leads out of the bundle as well as a linked file does.
    if Path(name).is_absolute() or not path.is_file() or os.path.realpath(path) != inside:
        raise BundleProblem(f"{path} is missing or no plain file of the bundle; build the bundle again")
    data = path.read_bytes()
    if len(data) != entry["size"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise BundleProblem(f"{path} was damaged or changed; build the bundle again")


def check_machine(manifest: dict[str, Any]) -> None:
    """Refuse a machine whose processor lacks what the bundle's code uses, instead of an illegal instruction.

    Raises:
        BundleProblem: the architecture differs, or features are missing, which the message names.
    """
    target = manifest["target"]
    if target["machine"] != platform.machine():
        raise BundleProblem(
            f"the bundle is for {target['machine']}, and this machine is {platform.machine()}"
        )
    present = cpu_features()
    missing = [feature for feature in target["features"] if feature not in present]
    if present and missing:
        wanted = f"the bundle was built for {target['cpu']}; this processor lacks {', '.join(missing)}"
        raise BundleProblem(f"{wanted}; build it for this machine's target")


def cpu_features() -> frozenset[str]:
    """The processor's features as Linux names them; empty where Linux is not."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    flags = [line.partition(":")[2] for line in lines if line.partition("\t")[0] in ("flags", "Features")]
    return frozenset(flags[0].split()) if flags else frozenset()


class _Any(ctypes.Structure):
    """TVMFFIAny of tvm/ffi/c_api.h: an argument or a result."""

    _fields_ = [("kind", ctypes.c_int32), ("padding", ctypes.c_uint32), ("value", ctypes.c_uint64)]


class _Bytes(ctypes.Structure):
    """TVMFFIByteArray."""

    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t)]


class _Tensor(ctypes.Structure):
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
_HEADER_BYTES = 24
_CPU, _FLOAT, _FLOAT_BITS = 1, 2, 32
_HUGE_PAGE, _MADV_HUGEPAGE, _MADV_COLLAPSE = 2 << 20, 14, 25
"""Linux: the page size of x86-64 and usual aarch64 kernels; the advice to use them from now on, and at once (6.1)."""


class _Runtime:
    """TVM's C interface: find a function, call it."""

    def __init__(self, folder: Path) -> None:
        if "tvm_ffi" in sys.modules:
            raise BundleProblem("this process has loaded TVM already; run the bundle in a process of its own")
        try:
            self._ffi = ctypes.CDLL(str(folder / "libtvm_ffi.so"), ctypes.RTLD_GLOBAL)
            ctypes.CDLL(str(folder / "libtvm_runtime.so"), ctypes.RTLD_GLOBAL)
        except OSError as problem:
            raise BundleProblem(f"TVM's runtime libraries cannot be loaded: {problem}") from None
        self._get = self.function("ffi.ModuleGetFunction")

    def function(self, name: str) -> _Any:
        """A function of the runtime, by its global name."""
        text, handle = ctypes.create_string_buffer(name.encode()), ctypes.c_void_p()
        key = _Bytes(ctypes.addressof(text), len(name))
        self._check(self._ffi.TVMFFIFunctionGetGlobal(ctypes.byref(key), ctypes.byref(handle)))
        if not handle.value:
            raise BundleProblem(f"TVM's runtime libraries lack `{name}`; take those of the bundle")
        return _Any(_FUNCTION, 0, handle.value)

    def method(self, module: _Any, name: str) -> _Any:
        """A function of a module."""
        found = self.call(self._get, module, name, 1)
        if found.kind != _FUNCTION:
            raise BundleProblem(f"the model lacks the function `{name}`")
        return found

    def call(self, function: _Any, *arguments: Any) -> _Any:
        """The result of a call; the caller owns it."""
        kept = [ctypes.create_string_buffer(a.encode()) if isinstance(a, str) else a for a in arguments]
        views = (_Any * max(1, len(kept)))(*[_view(argument) for argument in kept])
        result = _Any()
        handle = ctypes.c_void_p(function.value)
        self._check(self._ffi.TVMFFIFunctionCall(handle, views, len(kept), ctypes.byref(result)))
        return result

    def prepared(self, function: _Any, argument: _Any) -> Callable[[], int]:
        """A call that is made many times, its arguments laid out once; it gives the address of the result."""
        views, result = (_Any * 1)(argument), _Any()
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

    def tensor(self, array: np.ndarray[Any, Any]) -> tuple[_Any, Any]:
        """An aligned float32 array as a tensor without a copy, and what must stay alive with it."""
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        managed = _Tensor(array.ctypes.data, _CPU, 0, array.ndim, _FLOAT, _FLOAT_BITS, 1, shape, None, 0)
        handle = ctypes.c_void_p()
        made = self._ffi.TVMFFITensorFromDLPack(ctypes.byref(managed), ALIGNMENT, 1, ctypes.byref(handle))
        self._check(made)
        return _Any(_TENSOR, 0, handle.value or 0), (managed, shape, array)

    def _check(self, status: int) -> None:
        if status:
            error = ctypes.c_void_p()
            self._ffi.TVMFFIErrorMoveFromRaised(ctypes.byref(error))
            cell = (_Bytes * 2).from_address((error.value or 0) + _HEADER_BYTES)
            message = ctypes.string_at(cell[1].data or 0, cell[1].size).decode(errors="replace")
            raise BundleProblem(f"TVM: {message.strip()}")


def _view(argument: Any) -> _Any:
    if isinstance(argument, _Any):
        return argument
    if isinstance(argument, int):
        return _Any(_INT, 0, argument)
    return _Any(_STRING, 0, ctypes.addressof(argument))


def _aligned(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
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
        lines = Path("/proc/self/maps").read_text().splitlines()
        advise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return
    for line in lines:
        bounds, permissions, _, _, inode, *_ = line.split()
        start, stop = (int(bound, 16) for bound in bounds.split("-"))
        start, stop = -(-start // _HUGE_PAGE) * _HUGE_PAGE, stop // _HUGE_PAGE * _HUGE_PAGE
        if permissions == "rw-p" and inode == "0" and start < stop:
            for advice in (_MADV_HUGEPAGE, _MADV_COLLAPSE):
                advise(ctypes.c_void_p(start), ctypes.c_size_t(stop - start), advice)


class Model:
    """A loaded model. One process loads one set of runtime libraries, and not beside the `tvm` package."""

    def __init__(
        self, folder: Path, shape: tuple[int, ...], threads: int, library: Path | None = None
    ) -> None:
        """Load `library` (the bundle's `model.so`) for inputs of `shape`, batch included."""
        # Left to itself, TVM takes all cores, and pins its threads from the first core up.
        os.environ |= {"TVM_NUM_THREADS": str(threads), "TVM_BIND_THREADS": "0"}
        self._runtime = _Runtime(folder / "lib")
        path = (library or folder / "model.so").resolve()
        module = self._runtime.call(self._runtime.function("ffi.ModuleLoadFromFile"), str(path))
        machine = self._runtime.call(self._runtime.method(module, "vm_load_executable"))
        # One CPU with pooled memory, and the host beside it: (device type, device, allocator) twice.
        self._runtime.call(self._runtime.method(machine, "vm_initialization"), _CPU, 0, 2, _CPU, 0, 2)
        self._main = self._runtime.method(machine, "main")
        self._output: tuple[int, ...] | None = None
        self._values: Any = None
        self._buffer = _aligned(shape)
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
        tensor = _Tensor.from_address(address + _HEADER_BYTES)
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

    With `cores` this thread and those of the model run on these processors alone.

    Raises:
        BundleProblem: it is not for this machine, or cannot run on these threads and cores.
    """
    check_machine(manifest)
    count, chosen = placement(manifest["target"]["threads"], threads, cores)
    if chosen:
        os.sched_setaffinity(0, chosen)
    return Model(folder, tuple(manifest["input"]["shape"]), count)


def placement(
    built: int, threads: int | None = None, cores: Sequence[int] | None = None
) -> tuple[int, tuple[int, ...]]:
    """The threads, and the processors they keep to, of a model built for `built` threads; no cores: wherever.

    Raises:
        BundleProblem: more threads than it was built for or than cores are given, or cores that there are not.
    """
    chosen = tuple(dict.fromkeys(cores or ()))
    count = (min(built, len(chosen)) if chosen else built) if threads is None else threads
    if count < 1:
        raise BundleProblem(f"{count} threads are asked for; give at least 1")
    if count > built:
        unit = "thread" if built == 1 else "threads"
        again = f"onepath build MODEL.onnx --threads {count}, or FILE.space --set target.threads={count}"
        raise BundleProblem(
            f"the bundle was built for {built} {unit}, and {count} are asked for; build it for as many ({again})"
        )
    if chosen and len(chosen) < count:
        raise BundleProblem(f"{count} threads on {len(chosen)} of the cores; name as many cores as threads")
    if chosen and not hasattr(os, "sched_setaffinity"):
        raise BundleProblem("this system offers no pinning to cores; leave the cores out")
    absent = sorted(set(chosen) - os.sched_getaffinity(0)) if chosen else []
    if absent:
        allowed = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        raise BundleProblem(f"core {absent[0]} is not among those this process may use: {allowed}")
    return count, chosen


def read_input(path: Path, manifest: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The inputs in a file, `[N, 1, ...]`, float32 and preprocessed.

    Raises:
        BundleProblem: the file cannot be read, or does not fit the network.
    """
    values = _read_array(path) if path.suffix == ".npy" else _read_image(path, manifest)
    wanted = tuple(manifest["input"]["shape"][1:])
    if values.dtype == np.uint8:
        _needs_preprocessing(path, manifest)
        values = _channels_first(values, wanted)
        values = preprocess(values, manifest) if values.shape[-3:] == wanted else values.astype(np.float32)
    if values.dtype != np.float32:
        raise BundleProblem(
            f"{path} is {values.dtype}; give float32 as the network takes it, or uint8 pixels"
        )
    if values.shape == wanted:
        values = values[None]
    if values.shape[1:] != wanted:
        raise BundleProblem(f"{path} is {list(values.shape)}, and the network takes {list(wanted)}")
    return np.ascontiguousarray(values)[:, None]


def _channels_first(pixels: np.ndarray[Any, Any], wanted: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Gray and colour pixels with channels last, as image programs store them, turned to channels first."""
    if (
        pixels.shape[-2:] == wanted[1:]
        and wanted[0] == 1
        and pixels.ndim in (2, 3)
        and pixels.shape[-3:] != wanted
    ):
        return pixels[..., None, :, :]
    last = (*wanted[1:], wanted[0])
    return np.moveaxis(pixels, -1, -3) if pixels.shape[-3:] == last != wanted else pixels


def preprocess(pixels: np.ndarray[Any, Any], manifest: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Pixels `[..., C, H, W]` of 0 to 255 as the network takes them: scaled, mean and deviation taken out."""
    given = manifest["preprocessing"]
    mean, deviation = (np.asarray(given[key], np.float32).reshape(-1, 1, 1) for key in ("mean", "std"))
    result: np.ndarray[Any, Any] = (pixels.astype(np.float32) * np.float32(given["scale"]) - mean) / deviation
    return result.astype(np.float32)


def _read_array(path: Path) -> np.ndarray[Any, Any]:
    try:
        # Mapped, so that a header which promises more than the file holds costs nothing.
        values: np.ndarray[Any, Any] = np.load(path, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError, EOFError) as problem:
        raise BundleProblem(f"{path} is no .npy array ({problem})") from None
    return values


def _needs_preprocessing(path: Path, manifest: dict[str, Any]) -> None:
    if not manifest["preprocessing"]:
        raise BundleProblem(
            f"{path} holds pixels, and the manifest does not say how they become the network's input; "
            "give a .npy array of float32 that is preprocessed"
        )


def _read_image(path: Path, manifest: dict[str, Any]) -> np.ndarray[Any, Any]:
    _needs_preprocessing(path, manifest)
    try:
        from PIL import Image
    except ImportError:
        raise BundleProblem("images need Pillow (pip install pillow); or give a .npy array") from None
    channels, height, width = manifest["input"]["shape"][1:]
    try:
        with Image.open(path) as image:
            ready = image.convert("L" if channels == 1 else "RGB")
            if ready.size != (width, height):
                ready = _fit(ready, width, height)
            return np.asarray(ready, np.uint8)
    except (OSError, ValueError, Image.DecompressionBombError) as problem:
        raise BundleProblem(f"{path} is no image that Pillow reads ({problem})") from None


def _fit(image: Any, width: int, height: int) -> Any:
    """The image scaled (bicubic) until it just covers the size, then its centre: as images are trained on."""
    factor = max(width / image.width, height / image.height)
    scaled = image.resize(
        (max(width, round(image.width * factor)), max(height, round(image.height * factor))), 3
    )
    left, top = (scaled.width - width) // 2, (scaled.height - height) // 2
    return scaled.crop((left, top, left + width, top + height))


def softmax(scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Probabilities of a vector of scores."""
    exponents = np.exp(scores.astype(np.float64) - scores.max())
    result: np.ndarray[Any, Any] = exponents / exponents.sum()
    return result


def predict(model: Model, values: np.ndarray[Any, Any], labels: list[str], top: int) -> list[dict[str, Any]]:
    """The `top` labels of one input, the most probable first."""
    chances = softmax(model.run(values).reshape(-1))
    names = labels or [str(index) for index in range(len(chances))]
    best = np.argsort(-chances, kind="stable")[:top]
    return [{"label": names[index], "probability": round(float(chances[index]), 6)} for index in best]


def time_runs(model: Model, count: int) -> dict[str, float]:
    """Latency in milliseconds of `count` runs of the last input."""
    taken = []
    for _ in range(count):
        start = time.perf_counter_ns()
        model.run_again()
        taken.append((time.perf_counter_ns() - start) / 1e6)
    return {f"latency_p{p}_ms": round(float(np.percentile(taken, p)), 4) for p in (50, 90, 99)}


def _cores(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def main(arguments: list[str]) -> int:
    """The command line; 0 when the network ran, 2 when it could not."""
    parser = argparse.ArgumentParser(description="Run this bundle on images or arrays.")
    parser.add_argument("inputs", type=Path, nargs="+", help="images, or .npy arrays of pixels or inputs")
    parser.add_argument("--top", type=int, default=3, help="labels to print (3)")
    parser.add_argument("--threads", type=int, help="threads (as built)")
    parser.add_argument("--cores", type=_cores, help="processors to keep to, such as 0,1 (any)")
    parser.add_argument("--bench", type=int, default=0, metavar="N", help="also time N runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    folder = Path(__file__).resolve().parent
    try:
        manifest = read_manifest(folder)
        inputs = [values for path in options.inputs for values in read_input(path, manifest)]
        model = open_model(folder, manifest, options.threads, options.cores)
        answers = [predict(model, values, manifest["labels"], options.top) for values in inputs]
        times = time_runs(model, options.bench) if options.bench else {}
    except BundleProblem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps({"predictions": answers, **times}))
        return 0
    for answer in answers:
        print("  ".join(f"{guess['label']} {guess['probability']:.4f}" for guess in answer))
    for name, value in times.items():
        print(f"{name} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
