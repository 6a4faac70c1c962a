"""CIFAR-10 (Krizhevsky 2009): a folder in the standard binary format, or of lossless WebP tiles."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from runtime.data.cache import cached
from runtime.data.dataset import DataProblem, Labelled, Raw

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_BATCH = "test_batch.bin"
SIDE = 32
RECORD_BYTES = 1 + 3 * SIDE * SIDE


def load_cifar10(path: Path) -> Raw:
    """CIFAR-10 from a folder of `data_batch_1.bin` … `test_batch.bin`, or of `meta.json` and tiles.

    Raises:
        DataProblem: the folder is neither, or a file in it is damaged.
    """
    inner = path / "cifar-10-batches-bin"
    folder = inner if inner.is_dir() else path
    if all((folder / name).is_file() for name in (*BATCHES, TEST_BATCH)):
        train = [_binary(folder / name) for name in BATCHES]
        pixels, labels = (np.concatenate(parts) for parts in zip(*train, strict=True))
        return Raw(
            "cifar10", CLASSES, Labelled.of(pixels, labels), Labelled.of(*_binary(folder / TEST_BATCH))
        )
    if (folder / "meta.json").is_file():
        return _tiles(folder)
    way_out = "give the folder of CIFAR-10's binary version (data_batch_1.bin …), or of its tiles (meta.json)"
    raise DataProblem(f"{path}: is not a folder of CIFAR-10", way_out)


def _binary(path: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Records of one label byte, then 1,024 red, green and blue bytes each, row major."""
    content = np.frombuffer(path.read_bytes(), np.uint8)
    if len(content) == 0 or len(content) % RECORD_BYTES:
        raise DataProblem(f"{path}: is no whole number of {RECORD_BYTES}-byte records", "fetch it again")
    records = content.reshape(-1, RECORD_BYTES)
    return records[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), records[:, 0]


def _tiles(folder: Path) -> Raw:
    try:
        meta = json.loads((folder / "meta.json").read_text())
        classes = tuple(map(str, meta["classes"]))
        key = hashlib.sha256(f"{folder.resolve()} {json.dumps(meta, sort_keys=True)}".encode()).hexdigest()
        parts = cached("cifar10", key, lambda: {part: _tile_part(folder, meta, part) for part in PARTS})
    except (ValueError, KeyError, TypeError) as problem:
        raise DataProblem(f"{folder / 'meta.json'}: is damaged ({problem!r})", "fetch it again") from None
    return Raw("cifar10", classes, parts["train"], parts["test"])


PARTS = ("train", "test")


def _tile_part(folder: Path, meta: dict[str, Any], part: str) -> Labelled:
    tiles = [_tile(path) for path in sorted(folder.glob(f"{part}_*.webp"))]
    try:
        labels = np.load(folder / f"{part}_labels.npy", allow_pickle=False)
    except (OSError, ValueError) as problem:
        raise DataProblem(f"{folder / f'{part}_labels.npy'}: {problem}", "fetch it again") from None
    count, wanted = int(meta[part]["n"]), str(meta[part]["sha256_pixels"])
    pixels = np.ascontiguousarray(np.concatenate(tiles)[:count]) if tiles else np.empty(0, np.uint8)
    if hashlib.sha256(pixels.data).hexdigest() != wanted:
        raise DataProblem(f"{folder}: the {part} tiles are not what meta.json says", "fetch them again")
    return Labelled.of(pixels, labels)


def _tile(path: Path) -> np.ndarray[Any, Any]:
    """The images of a tile: 32 a row, row major."""
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError) as problem:
        raise DataProblem(f"{path}: is damaged ({problem})", "fetch it again") from None
    rows = pixels.reshape(-1, SIDE, SIDE, SIDE, 3)
    return rows.transpose(0, 2, 1, 3, 4).reshape(-1, SIDE, SIDE, 3)
