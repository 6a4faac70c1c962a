"""Images without an image library: portable graymaps and pixmaps, and pixels brought to the network's size."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from runtime.bundle_runner.manifest import BundleProblem

PORTABLE = (".pgm", ".pnm", ".ppm")
"""The suffixes of netpbm's formats."""
PIXEL_CAP = 100_000_000
"""The most pixels of an image that is read."""
_HEAD_CAP, _TEXT_CAP = 4096, 1 << 28
"""Bytes: the longest header, and the largest file of numbers in text."""
_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEAD = re.compile(rb"P([2356])" + _SPACE.join([b"", rb"(\d{1,9})", rb"(\d{1,9})", rb"(\d{1,9})"]) + rb"\s")
_COMMENT = re.compile(rb"#[^\r\n]*")
_RED, _GREEN, _BLUE, _LUMA_BITS = 19595, 38470, 7471, 16
"""ITU-R BT.601's weights of the colours in a gray value, as Pillow rounds them."""
_WEIGHT_BITS = 22
"""Pillow's: 32 less 8 of a pixel and 2 of the sum."""

Pixels = np.ndarray[Any, Any]


def read_portable(path: Path) -> Pixels:
    """The pixels of a PGM `[H, W]` or PPM `[H, W, 3]` file (P2, P3, P5, P6), uint8.

    Raises:
        BundleProblem: it is none, cut short, too large, or has another largest value than 255.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        found = _HEAD.match(file.read(_HEAD_CAP))
        if not found:
            raise BundleProblem(
                f"{path} is no PPM or PGM image: it does not begin with P2, P3, P5 or P6, width, height and 255"
            )
        kind, width, height, largest = (int(part) for part in found.groups())
        if largest != 255:
            raise BundleProblem(f"{path} has values up to {largest}; convert it to values up to 255")
        if not 0 < width * height <= PIXEL_CAP:
            raise BundleProblem(f"{path} is {width}x{height}; give an image of 1 to {PIXEL_CAP} pixels")
        shape = (height, width, 3) if kind in (3, 6) else (height, width)
        file.seek(found.end())
        values = _in_text(path, file, math.prod(shape)) if kind < 5 else _in_bytes(file, math.prod(shape))
    if len(values) < math.prod(shape):
        raise BundleProblem(f"{path} is cut short: it holds fewer pixels than {width}x{height}")
    return values.reshape(shape)


def _in_bytes(file: BinaryIO, count: int) -> Pixels:
    return np.frombuffer(file.read(count), np.uint8)


def _in_text(path: Path, file: BinaryIO, count: int) -> Pixels:
    text = file.read(_TEXT_CAP + 1)
    if len(text) > _TEXT_CAP:
        raise BundleProblem(f"{path} is larger than {_TEXT_CAP} bytes; write it as P5 or P6")
    words = _COMMENT.sub(b" ", text).split(maxsplit=count)[:count]
    if not all(len(word) <= 3 and word.isdigit() and int(word) <= 255 for word in words):
        raise BundleProblem(f"{path} holds something else than numbers from 0 to 255")
    return np.array([int(word) for word in words], np.uint8)


def in_channels(pixels: Pixels, channels: int) -> Pixels:
    """Gray `[H, W]` or colour `[H, W, 3]` pixels as gray for one channel, as colour for any other number."""
    if channels == 1 and pixels.ndim == 3:
        red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
        total = red * _RED + green * _GREEN + blue * _BLUE + (1 << _LUMA_BITS - 1)
        return (total >> _LUMA_BITS).astype(np.uint8)
    if channels != 1 and pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return pixels


def fitted(pixels: Pixels, width: int, height: int) -> Pixels:
    """Pixels `[H, W, ...]` scaled (bicubic) until they just cover the size, then their centre.

    So images are trained on. The values are those of Pillow's `resize` and `crop` where it, too, scales the rows
    first (version 13 does so but for tall images); what is cut off is never computed.
    """
    rows, columns = pixels.shape[:2]
    if (columns, rows) == (width, height):
        return pixels
    factor = max(width / columns, height / rows)
    across = _weights(columns, max(width, round(columns * factor)), width)
    down = _weights(rows, max(height, round(rows * factor)), height)
    top, bottom = down[0][0], down[-1][0] + len(down[-1][1])
    narrow = _resampled(pixels[top:bottom], across, 1)
    return _resampled(narrow, [(first - top, weights) for first, weights in down], 0)


def _weights(size: int, scaled: int, count: int) -> list[tuple[int, Pixels]]:
    """For the middle `count` of `scaled` pixels: the first of `size` pixels, and the weights from there on."""
    scale = size / scaled
    stretch = max(scale, 1.0)
    found = []
    for place in range((scaled - count) // 2, (scaled - count) // 2 + count):
        centre = (place + 0.5) * scale
        first = max(0, int(centre - 2 * stretch + 0.5))
        last = min(size, int(centre + 2 * stretch + 0.5))
        given = _cubic((np.arange(first, last) - centre + 0.5) * (1.0 / stretch))
        # One after the other, as Pillow adds them.
        shares = given / np.add.accumulate(given)[-1] * (1 << _WEIGHT_BITS)
        found.append((first, np.trunc(shares + np.copysign(0.5, shares)).astype(np.int32)))
    return found


def _cubic(x: Pixels) -> Pixels:
    """Keys' cubic convolution with a = -0.5 (IEEE Transactions on Acoustics 29, 1981, page 1153)."""
    x, a = np.abs(x), -0.5
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    weights: Pixels = np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))
    return weights


def _resampled(pixels: Pixels, weights: list[tuple[int, Pixels]], axis: int) -> Pixels:
    moved = np.moveaxis(pixels, axis, -1)
    sums = [moved[..., first : first + len(each)] @ each for first, each in weights]
    rounded = (np.stack(sums, axis) + (1 << _WEIGHT_BITS - 1)) >> _WEIGHT_BITS
    values: Pixels = np.clip(rounded, 0, 255).astype(np.uint8)
    return values
