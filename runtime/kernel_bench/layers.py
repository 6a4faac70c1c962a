"""The same layers in other programs, each timed inside the whole network, in a process of its own.

    python -m runtime.kernel_bench.layers

reads one JSON object (`program`, `model`, `shape`, `threads`, `cores`, `runs`) and answers with a list: what ran.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import msgspec
import numpy as np

from compiler.passes.fuse import Plan
from runtime.kernel_bench import onednn_layers, onnxruntime_layers
from runtime.kernel_bench.elsewhere import LayerTimes, Ran, fastest, matched
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

    def layers(self, model: Path, threads: int, image: Any, runs: int, folder: Path) -> list[Ran]:
        """The nodes of an ONNX model as the program runs them, each timed while it runs the whole."""


PROGRAMS: tuple[Program, ...] = (onnxruntime_layers, onednn_layers)


class NoLayers(Exception):
    """A program that cannot time the layers; the message says why."""


def layer_times(program: Program, model: Path, plan: Plan, setup: Mapping[str, Any]) -> LayerTimes:
    """The times of a plan's kernels in another program; `setup` has `threads`, `cores` and the input's `shape`.

    Raises:
        NoLayers: the program is not there, cannot run the network, crashed, or hung.
    """
    absent = missing(program.PACKAGES)
    if absent:
        raise NoLayers(f"not installed: pip install {' '.join(absent)}")
    request = {**setup, "program": program.NAME, "model": str(model.absolute()), "runs": RUNS}
    return matched(plan, fastest([_asked(request) for _ in range(PASSES)]))


def _asked(request: Mapping[str, Any]) -> list[Ran]:
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
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=list[Ran])


def main() -> None:
    """Answer one request."""
    request = json.loads(sys.stdin.read())
    os.sched_setaffinity(0, request["cores"])
    program = next(each for each in PROGRAMS if request["program"] == each.NAME)
    image = np.random.default_rng(0).standard_normal(request["shape"], dtype=np.float32)
    with TemporaryDirectory(prefix="onepath-") as folder:
        ran = program.layers(Path(request["model"]), request["threads"], image, request["runs"], Path(folder))
    print(json.dumps([asdict(node) for node in ran]))


if __name__ == "__main__":
    main()
