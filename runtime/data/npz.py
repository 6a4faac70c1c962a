"""A NumPy archive of `x_train`, `y_train`, `x_test`, `y_test`, and `classes` if wanted."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from runtime.data.arrays import raw_of
from runtime.data.dataset import DataProblem, Raw


def load_npz(path: Path) -> Raw:
    """The arrays of a file; `raw_of` says what they must be.

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
    return raw_of(path.stem, str(path), arrays)
