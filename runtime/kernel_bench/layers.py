"""The same layers in other programs, each timed inside the whole network, in a process of its own.

    python -m runtime.kernel_bench.layers

reads one JSON object (`program`, `model`, `shape`, `threads`, `cores`, `runs`) and answers with one: the times.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

from compiler.passes.fuse import Plan
from runtime.kernel_bench import onednn_layers, onnxruntime_layers
from runtime.peers.packages import missing

LAYERS_S = 300.0
"""How long a program may take to load the network and run it."""
RUNS = 60
PASSES = 2
"""Processes that each time all layers; of each layer the lower time counts, since what disturbs only adds to it."""


class Program(Protocol):
    """What a program's module offers. Nothing of its package is imported before `layers`."""

    NAME: str
    PACKAGES: tuple[str, ...]

    def version(self) -> str:
        """Its version."""

    def layers(self, model: Path, threads: int, image: Any, runs: int, folder: Path) -> dict[str, float]:
        """Microseconds of the layers of an ONNX model while it runs as a whole, by one of their nodes' names."""


PROGRAMS: tuple[Program, ...] = (onnxruntime_layers, onednn_layers)


class NoLayers(Exception):
    """A program that cannot time the layers; the message says why."""


@dataclass(frozen=True)
class LayerTimes:
    """Microseconds by signature, one call each; `between_us` is spent outside of all kernels, in one run."""

    kernels_us: dict[str, float]
    between_us: float


def layer_times(program: Program, model: Path, plan: Plan, setup: Mapping[str, Any]) -> LayerTimes:
    """The times of a plan's kernels in another program; `setup` has `threads`, `cores` and the input's `shape`.

    Raises:
        NoLayers: the program is not there, cannot run the network, crashed, or hung.
    """
    absent = missing(program.PACKAGES)
    if absent:
        raise NoLayers(f"not installed: pip install {' '.join(absent)}")
    request = {**setup, "program": program.NAME, "model": str(model.absolute()), "runs": RUNS}
    passes = [_asked(request) for _ in range(PASSES)]
    return matched(plan, {name: min(each[name] for each in passes) for name in passes[0]})


def matched(plan: Plan, nodes_us: Mapping[str, float]) -> LayerTimes:
    """The times of nodes as those of kernels: a call has the sum of its nodes, a kernel the mean of its calls."""
    calls = {node: place for place, call in enumerate(plan.calls) for node in call.nodes}
    sums, between = np.zeros(len(plan.calls)), 0.0
    for name, microseconds in nodes_us.items():
        place = calls.get(name, calls.get(name.partition("/")[0]))
        if place is None:
            between += microseconds
        else:
            sums[place] += microseconds
    rows: dict[str, list[float]] = {}
    for call, total in zip(plan.calls, sums, strict=True):
        rows.setdefault(call.kernel.signature, []).append(float(total))
    return LayerTimes({name: float(np.mean(own)) for name, own in rows.items() if min(own) > 0}, between)


def _asked(request: Mapping[str, Any]) -> dict[str, float]:
    command = [sys.executable, "-P", "-m", "runtime.kernel_bench.layers"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(request["threads"])}
    try:
        done = subprocess.run(
            command, input=json.dumps(request), env=environment,
            capture_output=True, text=True, timeout=LAYERS_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NoLayers(f"no answer within {LAYERS_S:g} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise NoLayers(f"ended with code {done.returncode}: {said[-1][:300]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Answer one request."""
    request = json.loads(sys.stdin.read())
    os.sched_setaffinity(0, request["cores"])
    program = next(each for each in PROGRAMS if request["program"] == each.NAME)
    image = np.random.default_rng(0).standard_normal(request["shape"], dtype=np.float32)
    with TemporaryDirectory(prefix="onepath-") as folder:
        times = program.layers(
            Path(request["model"]), request["threads"], image, request["runs"], Path(folder)
        )
    print(json.dumps(times))


if __name__ == "__main__":
    main()
