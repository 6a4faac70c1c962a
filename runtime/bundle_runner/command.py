"""The command line of a bundle: what it answers for images and arrays, and how long it takes."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from runtime.bundle_runner.inputs import read_input
from runtime.bundle_runner.manifest import BundleProblem, read_manifest
from runtime.bundle_runner.model import Model, open_model


def softmax(scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Probabilities of a vector of scores."""
    exponents = np.exp(scores.astype(np.float64) - scores.max())
    result: np.ndarray[Any, Any] = exponents / exponents.sum()
    return result


def predict(model: Model, values: np.ndarray[Any, Any], labels: list[str], top: int) -> list[dict[str, Any]]:
    """The `top` labels of one input, the most probable first."""
    chances = softmax(model.run(values).reshape(-1))
    names = labels or [str(index) for index in range(len(chances))]
    best = np.argsort(-chances, kind="stable")[:top]
    return [{"label": names[index], "probability": round(float(chances[index]), 6)} for index in best]


def time_runs(model: Model, count: int) -> dict[str, float]:
    """Latency in milliseconds of `count` runs of the last input."""
    taken = []
    for _ in range(count):
        start = time.perf_counter_ns()
        model.run_again()
        taken.append((time.perf_counter_ns() - start) / 1e6)
    return {f"latency_p{p}_ms": round(float(np.percentile(taken, p)), 4) for p in (50, 90, 99)}


def _cores(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def main(arguments: list[str]) -> int:
    """The command line; 0 when the network ran, 2 when it could not."""
    parser = argparse.ArgumentParser(description="Run this bundle on images or arrays.")
    parser.add_argument("inputs", type=Path, nargs="+", help="images, or .npy arrays of pixels or inputs")
    parser.add_argument("--top", type=int, default=3, help="labels to print (3)")
    parser.add_argument("--threads", type=int, help="threads (as built)")
    parser.add_argument("--cores", type=_cores, help="processors to keep to, such as 0,1 (any)")
    parser.add_argument("--bench", type=int, default=0, metavar="N", help="also time N runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    folder = Path(__file__).resolve().parent
    try:
        manifest = read_manifest(folder)
        inputs = [values for path in options.inputs for values in read_input(path, manifest)]
        model = open_model(folder, manifest, options.threads, options.cores)
        answers = [predict(model, values, manifest["labels"], options.top) for values in inputs]
        times = time_runs(model, options.bench) if options.bench else {}
    except BundleProblem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps({"predictions": answers, **times}))
        return 0
    for answer in answers:
        print("  ".join(f"{guess['label']} {guess['probability']:.4f}" for guess in answer))
    for name, value in times.items():
        print(f"{name} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
