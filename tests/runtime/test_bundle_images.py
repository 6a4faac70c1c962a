"""Images and raw numbers are read without an image library, and brought to size as Pillow does it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.bundle_runner.images import fitted, in_channels, read_portable
from runtime.bundle_runner.inputs import read_input
from runtime.bundle_runner.manifest import BundleProblem

MANIFEST = {
    "input": {"shape": [1, 3, 4, 6]},
    "preprocessing": {"scale": 1 / 255, "mean": [0.5, 0.25, 0.0], "std": [0.5, 0.25, 1.0]},
}


@pytest.mark.parametrize("seed", range(8))
def test_images_are_fitted_as_pillow_does_it(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(10):
        rows, columns = sorted(int(each) for each in random.integers(1, 80, 2))
        width, height = (int(each) for each in random.integers(1, 50, 2))
        pixels = random.integers(0, 256, (rows, columns, 3), np.uint8)
        factor = max(width / columns, height / rows)
        size = max(width, round(columns * factor)), max(height, round(rows * factor))
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
        scaled = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
        expected = scaled.crop((left, top, left + width, top + height))
        np.testing.assert_array_equal(fitted(pixels, width, height), np.asarray(expected))


def test_what_is_cut_off_is_not_computed() -> None:
    assert fitted(np.full((1, 3_000_000), 7, np.uint8), 2000, 2000).tolist()[0][:2] == [7, 7]


def test_gray_and_colour_as_pillow_has_it() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    np.testing.assert_array_equal(in_channels(pixels, 1), np.asarray(Image.fromarray(pixels).convert("L")))
    gray = pixels[..., 0]
    np.testing.assert_array_equal(in_channels(gray, 3), np.asarray(Image.fromarray(gray).convert("RGB")))


@pytest.mark.parametrize("channels", [1, 3])
def test_portable_images(channels: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (4, 5, channels), np.uint8)
    pixels = pixels[..., 0] if channels == 1 else pixels
    Image.fromarray(pixels).save(tmp_path / "a.ppm")
    np.testing.assert_array_equal(read_portable(tmp_path / "a.ppm"), pixels)
    plain = " ".join(map(str, pixels.reshape(-1).tolist()))
    kind = b"P2" if channels == 1 else b"P3"
    (tmp_path / "b.ppm").write_bytes(kind + b"#\r # a\n5 # b\n\t4\n255\n# c\n" + plain.encode() + b" 1 x")
    np.testing.assert_array_equal(read_portable(tmp_path / "b.ppm"), pixels)


def test_raw_numbers_are_one_input(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    values, pixels = random.normal(size=(3, 4, 6)).astype("<f4"), random.integers(0, 256, (4, 6, 3), np.uint8)
    values.tofile(tmp_path / "a.raw")
    pixels.tofile(tmp_path / "p.BIN")
    np.save(tmp_path / "p.npy", pixels)
    np.testing.assert_array_equal(read_input(tmp_path / "a.raw", MANIFEST)[0, 0], values)
    read = read_input(tmp_path / "p.BIN", MANIFEST)
    np.testing.assert_array_equal(read, read_input(tmp_path / "p.npy", MANIFEST))
    with pytest.raises(BundleProblem, match="does not say how pixels become"):
        read_input(tmp_path / "p.BIN", {**MANIFEST, "preprocessing": {}})
    (tmp_path / "a.raw").write_bytes(b"\0" * 71)
    with pytest.raises(BundleProblem, match="of 71 bytes; give 288 bytes of float32, or 72 bytes of uint8"):
        read_input(tmp_path / "a.raw", MANIFEST)


def test_an_array_of_python_2_is_read_without_a_warning(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 6)).astype("<f4")
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3L, 4L, 6L), }\n"
    start = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head
    (tmp_path / "a.npy").write_bytes(start + values.tobytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read_input(tmp_path / "a.npy", MANIFEST)[0, 0], values)
