"""A NumPy archive of `x_train`, `y_train`, `x_test`, `y_test`, and `classes` if wanted."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from runtime.data.dataset import DataProblem, Labelled, Raw, named_classes

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def load_npz(path: Path) -> Raw:
    """Images are uint8, `[count, height, width]` or `[count, height, width, channels]` (1 or 3).

    Raises:
        DataProblem: the file is missing or damaged, an array is missing, of another type or shape.
    """
    if not path.is_file():
        raise DataProblem(f"{path}: no such file", "give the path of an .npz file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as problem:
        raise DataProblem(
            f"{path}: cannot be read as .npz ({problem})", "write it with numpy.savez"
        ) from None
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise DataProblem(f"{path}: lacks {', '.join(missing)}", f"it must hold {', '.join(ARRAYS)}")
    train, test = (_part(path, arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test"))
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        raise DataProblem(f"{path}: training and test images differ in size", "make them alike")
    names = [str(name) for name in arrays["classes"]] if "classes" in arrays else None
    return Raw(path.stem, named_classes(names, train.labels), train, test)


def _part(path: Path, pixels: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> Labelled:
    grey = pixels.ndim == 3
    if not (grey or (pixels.ndim == 4 and pixels.shape[3] in (1, 3))):
        way_out = "images are [count, height, width] or [count, height, width, 1 or 3]"
        raise DataProblem(f"{path}: images of shape {list(pixels.shape)}", way_out)
    if pixels.dtype != np.uint8:
        raise DataProblem(f"{path}: images are {pixels.dtype}", "store them as uint8, 0 to 255")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        what = f"{path}: labels are {labels.dtype} of shape {list(labels.shape)}"
        raise DataProblem(what, "store one integer for each image")
    return Labelled.of(pixels, labels)
