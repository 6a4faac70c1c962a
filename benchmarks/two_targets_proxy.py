"""A stand-in for accuracy, so that two searches can be compared without training: it is none, and predicts none."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt


def score(choices: Mapping[str, object]) -> float:
    """The sum over the layers of the square root of expansion times kernel; a skipped layer adds nothing.

    More is better in every layer, with returns that diminish, and no layer counts more than another. So what decides
    between two networks is where a device has the time for width and for windows.
    """
    total = 0.0
    for path, kernel in choices.items():
        layer, _, decision = path.rpartition(".")
        if decision == "kernel":
            total += sqrt(float(str(kernel)) * float(str(choices[f"{layer}.expand"])))
    return total
