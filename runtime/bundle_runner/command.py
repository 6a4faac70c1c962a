"""The command line of a bundle: what it answers for images and arrays, and how long it takes."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runtime.bundle_runner.inputs import read_input
from runtime.bundle_runner.manifest import BundleProblem, read_manifest
from runtime.bundle_runner.model import Model, open_model
from runtime.bundle_runner.outputs import answer_line, check_output, describe, predict, write_outputs

Array = np.ndarray[Any, Any]


def time_runs(model: Model, count: int) -> dict[str, float]:
    """Latency in milliseconds of `count` runs of the last input."""
    taken = []
    for _ in range(count):
        start = time.perf_counter_ns()
        model.run_again()
        taken.append((time.perf_counter_ns() - start) / 1e6)
    return {f"latency_p{p}_ms": round(float(np.percentile(taken, p)), 4) for p in (50, 90, 99)}


def _cores(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}`: write the numbers of cores, as in 0,1") from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}`: give a number from 1 on")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Run this bundle on images or arrays.")
    parser.add_argument("inputs", type=Path, nargs="+", help="images, or .npy arrays of pixels or inputs")
    parser.add_argument("--top", type=_count, default=3, help="labels of a classifier to print (3)")
    parser.add_argument("--threads", type=int, help="threads (as built)")
    parser.add_argument("--cores", type=_cores, help="processors to keep to, such as 0,1 (any)")
    parser.add_argument("--bench", type=_count, default=0, metavar="N", help="also time N runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--out", type=Path, metavar="FILE.npy", help="write the outputs, as the network gives them"
    )
    parser.add_argument("--force", action="store_true", help="replace the file of --out")
    return parser


def _text(outputs: Sequence[Array], times: dict[str, float], manifest: dict[str, Any], options: Any) -> str:
    """What is printed: one JSON object, or a line for each output and each latency."""
    guesses = [predict(output, manifest, options.top) for output in outputs]
    if options.json:
        payload = {"output_kind": manifest["output_kind"], "predictions": guesses}
        return json.dumps({**payload, "outputs": [describe(output) for output in outputs], **times})
    lines = [answer_line(*both) for both in zip(outputs, guesses)]  # noqa: B905  Python 3.9 has no `strict`
    return "\n".join([*lines, *[f"{name} {value}" for name, value in times.items()]])


def _run(folder: Path, options: Any) -> str:
    if options.out:
        check_output(options.out, options.inputs, options.force)
    manifest = read_manifest(folder)
    inputs = [values for path in options.inputs for values in read_input(path, manifest)]
    model = open_model(folder, manifest, options.threads, options.cores)
    outputs = [model.run(values) for values in inputs]
    if options.out:
        write_outputs(options.out, outputs)
    times = time_runs(model, options.bench) if options.bench else {}
    return _text(outputs, times, manifest, options)


def main(arguments: list[str]) -> int:
    """The command line; 0 when the network ran, 2 when it could not."""
    options = _parser().parse_args(arguments)
    try:
        print(_run(Path(__file__).resolve().parent, options))
    except BundleProblem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
