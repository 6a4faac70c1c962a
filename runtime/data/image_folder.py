"""A folder of images: `train/CLASS/*` and `test/CLASS/*` (or `val`), or `CLASS/*` alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from runtime.data.cache import cached
from runtime.data.dataset import DataProblem, Labelled, Raw, held_out

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
MEMORY_CAP_BYTES = 4 << 30
TEST_SHARE = 0.2
RESIZE = "shorter side, bicubic, then centre crop"

Files = list[tuple[Path, int]]


def load_image_folder(path: Path, size: int, channels: int = 3) -> Raw:
    """All images, shorter side resized to `size`, centre crop; RGB, or grey with one channel.

    Without a `test` or `val` folder, a fifth of each class is the test split.

    Raises:
        DataProblem: the folder is missing, empty or too large, classes differ, an image is damaged.
    """
    if not path.is_dir():
        raise DataProblem(f"{path}: no such folder", "give a folder with one folder of images a class")
    train = path / "train"
    tests = [path / name for name in ("test", "val") if (path / name).is_dir()]
    split = train.is_dir() and bool(tests)
    classes = _classes(train if split else path)
    files = {"train": _files(train if split else path, classes)}
    if split:
        if _classes(tests[0]) != classes:
            raise DataProblem(f"{tests[0]}: its classes are not those of {train}", "make them alike")
        files["test"] = _files(tests[0], classes)
    _check_memory(path, sum(map(len, files.values())), size, channels)
    key = _key(files, size, channels)
    parts = cached(
        "image-folder", key, lambda: {name: _decode(part, size, channels) for name, part in files.items()}
    )
    if split:
        return Raw(path.name, classes, parts["train"], parts["test"], RESIZE)
    return _without_test(path, classes, parts["train"])


def _without_test(path: Path, classes: tuple[str, ...], images: Labelled) -> Raw:
    kept, out = held_out(images.labels, TEST_SHARE, 0, "test")
    train, test = (Labelled(images.pixels[part], images.labels[part]) for part in (kept, out))
    note = f"{path} has no folder `train` beside `test` or `val`: a fifth of each class is the test split"
    return Raw(path.name, classes, train, test, RESIZE, (note,))


def _classes(folder: Path) -> tuple[str, ...]:
    found = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")
    if len(found) < 2:
        raise DataProblem(
            f"{folder}: holds {len(found)} class folder(s)", "put each class into its own folder"
        )
    return tuple(found)


def _files(folder: Path, classes: tuple[str, ...]) -> Files:
    found = [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((folder / name).iterdir())
        if path.suffix.lower() in SUFFIXES
    ]
    if not found:
        raise DataProblem(f"{folder}: holds no image", f"put images into it ({', '.join(SUFFIXES)})")
    return found


def _check_memory(path: Path, count: int, size: int, channels: int) -> None:
    needed = count * size * size * channels
    if needed > MEMORY_CAP_BYTES:
        what = f"{path}: {count:,} images of {size}x{size} need {needed / 2**30:.1f} GiB in memory"
        raise DataProblem(
            what, f"stay under {MEMORY_CAP_BYTES >> 30} GiB with fewer images or a smaller size"
        )


def _key(files: dict[str, Files], size: int, channels: int) -> str:
    digest = hashlib.sha256(f"{size} {channels}".encode())
    for name, part in files.items():
        for path, label in part:
            state = path.stat()
            digest.update(f"{name} {path.resolve()} {label} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _decode(files: Files, size: int, channels: int) -> Labelled:
    pixels = np.empty((len(files), size, size, channels), np.uint8)
    for index, (path, _) in enumerate(files):
        pixels[index] = _image(path, size, channels)
    return Labelled.of(pixels, np.array([label for _, label in files]))


def _image(path: Path, size: int, channels: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    try:
        with Image.open(path) as opened:
            image = opened.convert("L" if channels == 1 else "RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as problem:
        raise DataProblem(f"{path}: is no readable image ({problem})", "replace or delete it") from None
    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + size, top + size)), np.uint8).reshape(
        size, size, channels
    )
