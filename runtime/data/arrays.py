"""Arrays that a person gives, from a file or a function: checked, and made into images and labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from runtime.data.dataset import DataProblem, Labelled, Raw, named_classes

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def raw_of(name: str, where: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Raw:
    """The images of `x_train`, `y_train`, `x_test`, `y_test`, and the names of `classes` if there are any.

    Images are uint8, `[count, height, width]` or `[count, height, width, channels]` with 1 or 3 channels; labels
    are integers from 0, `[count]`. `where` is for messages.

    Raises:
        DataProblem: an array is missing, or of another type or shape.
    """
    missing = [each for each in ARRAYS if each not in arrays]
    if missing:
        raise DataProblem(f"{where}: lacks {', '.join(missing)}", f"it must hold {', '.join(ARRAYS)}")
    train, test = (_part(where, part, arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test"))
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        raise DataProblem(f"{where}: training and test images differ in size", "make them alike")
    names = [str(each) for each in np.atleast_1d(arrays["classes"])] if "classes" in arrays else None
    return Raw(name, named_classes(names, train.labels), train, test)


def _part(where: str, part: str, pixels: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> Labelled:
    if not (pixels.ndim == 3 or (pixels.ndim == 4 and pixels.shape[3] in (1, 3))):
        way_out = "images are [count, height, width] or [count, height, width, 1 or 3]"
        raise DataProblem(f"{where}: `x_{part}` has images of shape {list(pixels.shape)}", way_out)
    if pixels.dtype != np.uint8:
        way_out = "give images as uint8, 0 to 255"
        raise DataProblem(f"{where}: `x_{part}` is {pixels.dtype}", way_out)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        what = f"{where}: `y_{part}` is {labels.dtype} of shape {list(labels.shape)}"
        raise DataProblem(what, "give one integer for each image")
    return Labelled.of(pixels, labels)
