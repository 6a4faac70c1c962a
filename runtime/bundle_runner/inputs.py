"""What a bundle takes: images and arrays of pixels, preprocessed as the manifest says, or arrays as they are.

The bundle's C++ runner reads the same files by the same rules (`compiler/codegen/templates/cpp`).
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from runtime.bundle_runner.images import PIXEL_CAP, PORTABLE, fitted, in_channels, read_portable
from runtime.bundle_runner.manifest import BundleProblem

RAW = (".bin", ".raw")
"""The suffixes of files that hold numbers alone."""
NPY_MAGIC = b"\x93NUMPY"
"""How every .npy file begins."""


def begins_as_npy(path: Path) -> bool:
    """Whether a file begins as numpy's arrays do.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(NPY_MAGIC)) == NPY_MAGIC


def read_input(path: Path, manifest: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The inputs in a file, `[N, 1, ...]`, float32, finite and preprocessed.

    Raises:
        BundleProblem: the file cannot be read, or does not fit the network.
    """
    _check_file(path)
    values = _read(path, manifest)
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
    if not len(values):
        raise BundleProblem(f"{path} holds no input: it is {list(values.shape)}")
    if not np.isfinite(values).all():
        raise BundleProblem(f"{path} holds values that are not finite (NaN or infinity)")
    return np.ascontiguousarray(values)[:, None]


def _read(path: Path, manifest: dict[str, Any]) -> np.ndarray[Any, Any]:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _read_array(path)
    try:
        if suffix in RAW:
            return _read_raw(path, manifest)
        _needs_preprocessing(path, manifest)
        channels, height, width = manifest["input"]["shape"][1:]
        pixels = read_portable(path) if suffix in PORTABLE else _read_image(path, channels)
    except OSError as problem:
        raise BundleProblem(f"{path} cannot be read ({problem.strerror})") from None
    ready = fitted(in_channels(pixels, channels), width, height)
    return ready[None] if ready.ndim == 2 else np.moveaxis(ready, -1, 0)


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise BundleProblem(f"{path} is a folder; name an image or a .npy array")
        if not path.exists():
            raise BundleProblem(f"{path} does not exist")
        if not path.is_file():
            raise BundleProblem(f"{path} is no regular file; name an image or a .npy array")
    except OSError as problem:
        raise BundleProblem(f"{path} cannot be read ({problem.strerror})") from None
    if path.suffix.lower() == ".npz":
        raise BundleProblem(f"{path} may hold several arrays; give one as .npy (numpy.save)")


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
        if not begins_as_npy(path):
            raise BundleProblem(f"{path} is no .npy array: it does not begin as those of numpy.save do")
        with np.errstate(over="ignore"), warnings.catch_warnings():
            # What numpy warns of (headers of Python 2, types by old names) is read or refused all the same.
            warnings.simplefilter("ignore")
            # Mapped, so that a header which promises more than the file holds costs nothing.
            values: np.ndarray[Any, Any] = np.load(path, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError, TypeError, EOFError, OverflowError, TokenError) as problem:
        raise BundleProblem(f"{path} is no .npy array of numbers ({problem})") from None
    if values.dtype.kind not in "biufc":
        raise BundleProblem(f"{path} is no .npy array of numbers (it is of type {values.dtype})")
    return values


def _read_raw(path: Path, manifest: dict[str, Any]) -> np.ndarray[Any, Any]:
    """One input without a header: float32 as the network takes it, or uint8 pixels with the channels last."""
    shape = tuple(manifest["input"]["shape"][1:])
    count, size = math.prod(shape), path.stat().st_size
    if size == 4 * count:
        return np.fromfile(path, "<f4").reshape(shape)
    if size != count:
        raise BundleProblem(
            f"{path} is of {size} bytes; give {4 * count} bytes of float32, or {count} bytes of uint8 pixels"
        )
    _needs_preprocessing(path, manifest)
    return np.moveaxis(np.fromfile(path, np.uint8).reshape(*shape[1:], shape[0]), -1, 0)


def _needs_preprocessing(path: Path, manifest: dict[str, Any]) -> None:
    if not manifest["preprocessing"] or len(manifest["input"]["shape"]) != 4:
        raise BundleProblem(
            f"{path}: the manifest does not say how pixels become the network's input; give a .npy array of "
            "float32 that is preprocessed"
        )


def _read_image(path: Path, channels: int) -> np.ndarray[Any, Any]:
    """Pixels `[H, W]` for one channel, else `[H, W, 3]`, of whatever Pillow reads."""
    try:
        from PIL import Image
    except ImportError:
        raise BundleProblem(
            f"{path}: images but PPM and PGM need Pillow (pip install pillow); or give a .npy array"
        ) from None
    try:
        with Image.open(path) as image:
            if image.width * image.height > PIXEL_CAP:
                raise BundleProblem(f"{path} has more than {PIXEL_CAP} pixels; give a smaller image")
            return np.asarray(image.convert("L" if channels == 1 else "RGB"), np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
        raise BundleProblem(f"{path} is no image that Pillow reads ({problem})") from None
