"""What a bundle answers: labels for the scores of a classifier, figures of anything else, and the arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runtime.bundle_runner.inputs import begins_as_npy
from runtime.bundle_runner.manifest import BundleProblem

VALUES_CAP = 10_000
"""The most numbers of one output that JSON spells out; an array file has them all."""
FIRST = 8
"""Values of an output that are shown to people."""


def softmax(scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Probabilities of a vector of scores."""
    exponents = np.exp(scores.astype(np.float64) - scores.max())
    result: np.ndarray[Any, Any] = exponents / exponents.sum()
    return result


def predict(output: np.ndarray[Any, Any], manifest: dict[str, Any], top: int) -> list[dict[str, Any]]:
    """The `top` labels of one input, the most probable first; none where the output is not a classifier's."""
    kind, scores = manifest["output_kind"], output.reshape(-1)
    if kind not in ("logits", "probabilities") or not np.isfinite(scores).all():
        return []
    chances = softmax(scores) if kind == "logits" else scores
    names = manifest["labels"] or [str(index) for index in range(len(chances))]
    best = np.argsort(-chances, kind="stable")[:top]
    return [{"label": names[index], "probability": round(float(chances[index]), 6)} for index in best]


def describe(output: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Shape without the batch, least, largest and mean value, how many are not finite, and the values, for JSON.

    The three figures are of the finite values. `values` are nested lists, null where they are more than
    `VALUES_CAP`; one that is not finite is null.
    """
    finite = output[np.isfinite(output)]
    known = finite.size > 0
    return {
        "shape": list(output.shape[1:]),
        "min": float(finite.min()) if known else None,
        "max": float(finite.max()) if known else None,
        "mean": float(finite.mean(dtype=np.float64)) if known else None,
        "not_finite": int(output.size - finite.size),
        "values": _nested(output[0]) if output.size <= VALUES_CAP else None,
    }


def _nested(values: np.ndarray[Any, Any]) -> Any:
    """The values as lists of numbers, those that JSON cannot say as None."""
    listed = values.astype(object)
    listed[~np.isfinite(values)] = None
    return listed.tolist()


def answer_line(output: np.ndarray[Any, Any], guesses: Sequence[dict[str, Any]]) -> str:
    """An answer for people: the labels, or where there are none the shape, figures and first values."""
    if guesses:
        return "  ".join(f"{guess['label']} {guess['probability']:.4f}" for guess in guesses)
    said = describe(output)
    figures = [f"{name} {said[name]:.4g}" for name in ("min", "max", "mean") if said[name] is not None]
    if said["not_finite"]:
        figures.append(f"{said['not_finite']} of {output.size} not finite")
    first = " ".join(f"{value:.4g}" for value in output.reshape(-1)[:FIRST])
    return "  ".join([str(said["shape"]), *figures, f"first {first}"])


def check_output(path: Path, inputs: Sequence[Path], force: bool) -> None:
    """Refuse, before the work, to write an array where something else would be lost.

    Raises:
        BundleProblem: it is no .npy file or an input, its folder is missing, or it is there already.
    """
    if path.suffix != ".npy":
        raise BundleProblem(f"{path} is to be an array; give it a name that ends in .npy")
    if os.path.realpath(path) in {os.path.realpath(each) for each in inputs}:
        raise BundleProblem(f"{path} is an input; choose another name for the output")
    if not path.parent.is_dir():
        raise BundleProblem(f"{path} cannot be written: its folder does not exist")
    if not os.path.lexists(path):
        return
    if not (path.is_file() and begins_as_npy(path)):
        raise BundleProblem(f"{path} is there already and is no .npy array; choose another name")
    if not force:
        raise BundleProblem(f"{path} is there already; choose another name, or replace it with --force")


def write_outputs(path: Path, outputs: Sequence[np.ndarray[Any, Any]]) -> None:
    """Write the outputs `[N, ...]`, as the network gave them, wholly or not at all.

    Raises:
        BundleProblem: they cannot be written.
    """
    made = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with made.open("xb") as file:
            np.save(file, np.concatenate(outputs))
        made.replace(path)
    except OSError as problem:
        raise BundleProblem(f"{path} cannot be written ({problem.strerror})") from None
    finally:
        if made.exists():
            made.unlink()
