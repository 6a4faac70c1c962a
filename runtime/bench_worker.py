"""One contender of a benchmark in a process of its own: `python -m runtime.bench_worker`.

Reads JSON lines and answers each with one. The first says what to load: `{"kind": "bundle", "folder",
"library", …}` or `{"kind": "peer", "peer", "model", …}` or `{"kind": "device", …}` as
`runtime.devices.model` has it, with `threads`, `cores` and the input's `shape`.
Then `{"do": "run", "count"}`, `{"do": "predict", "images", "outputs"}`, `{"do": "memory"}`. What cannot be done
is answered with `{"problem": why}`.
A process each keeps thread pools, memory and crashes apart.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from runtime.bundle_runner.pinning import spread
from runtime.child import end_with_parent

Run = Callable[[Any], Any]


@runtime_checkable
class OnDevice(Protocol):
    """What runs on a remote device, whose clock and memory count; `load_ms` has the upload in it."""

    load_ms: float

    def __call__(self, values: Any) -> Any:
        """The output for one input."""

    def times_ms(self, values: Any, count: int) -> list[float]:
        """The milliseconds of so many runs."""

    def peak_mb(self) -> float:
        """The most memory held."""

    def describe(self) -> dict[str, Any]:
        """The device as results state it."""


def _load_bundle(setup: Mapping[str, Any]) -> Run:
    folder = Path(setup["folder"])
    spec = importlib.util.spec_from_file_location("onepath_bundle_runner", folder / "runner.py")
    assert spec is not None
    assert spec.loader is not None
    runner = importlib.util.module_from_spec(spec)
    # What lies in `__pycache__` is no part of what was compared with the manifest.
    kept, sys.pycache_prefix = sys.pycache_prefix, os.devnull
    spec.loader.exec_module(runner)
    sys.pycache_prefix = kept
    manifest = runner.read_manifest(folder)
    runner.check_machine(manifest)
    library = Path(setup["library"]) if setup.get("library") else None
    run: Run = runner.Model(folder, tuple(setup["shape"]), setup["threads"], library).run
    return run


def _load_library(setup: Mapping[str, Any]) -> Run:
    """A compiled network beside TVM's installed runtime libraries: the way a bundle will run it."""
    from runtime.bundle_runner.model import Model

    run: Run = Model(
        Path(setup["folder"]), tuple(setup["shape"]), setup["threads"], Path(setup["library"])
    ).run
    return run


def _load_peer(setup: Mapping[str, Any]) -> Run:
    from runtime.peers import peer

    return peer(setup["peer"]).prepare(Path(setup["model"]), setup["threads"])


def _load_device(setup: Mapping[str, Any]) -> Run:
    from runtime.devices.model import DeviceModel

    return DeviceModel(setup)


def _milliseconds(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter_ns()
    result = function()
    return (time.perf_counter_ns() - start) / 1e6, result


def _times(run: Run, image: Any, count: int) -> list[float]:
    if isinstance(run, OnDevice):
        return run.times_ms(image, count)
    return [round(_milliseconds(lambda: run(image))[0], 6) for _ in range(count)]


def _predict(run: Run, images: Path, outputs: Path) -> None:
    inputs = np.load(images, mmap_mode="r")
    np.save(outputs, np.concatenate([run(np.ascontiguousarray(image[None])) for image in inputs]))


def _answer(run: Run, image: Any, command: Mapping[str, Any]) -> dict[str, Any]:
    if command["do"] == "run":
        return {"times_ms": _times(run, image, command["count"])}
    if command["do"] == "predict":
        _predict(run, Path(command["images"]), Path(command["outputs"]))
        return {}
    return {"peak_mb": run.peak_mb() if isinstance(run, OnDevice) else _peak_mb()}


def _peak_mb() -> float:
    """The most memory this process held; `ru_maxrss` would start from what its parent held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmHWM:"))


_LOADERS: Mapping[str, Callable[[Mapping[str, Any]], Run]] = {
    "bundle": _load_bundle,
    "library": _load_library,
    "peer": _load_peer,
    "device": _load_device,
}


def _start(setup: Mapping[str, Any]) -> tuple[Run, Any, dict[str, Any]]:
    """Load a contender and run it once on a seeded input, each of its threads on a core; the last is the answer."""
    if setup["cores"]:
        os.sched_setaffinity(0, setup["cores"])
    image = np.random.default_rng(0).normal(size=setup["shape"]).astype(np.float32)
    load = _LOADERS[setup["kind"]]
    began: list[tuple[float, Any]] = []

    def begin() -> None:
        began.append(_milliseconds(lambda: load(setup)))
        began.append(_milliseconds(lambda: began[0][1](image)))

    spread(setup["cores"][: setup["threads"]], begin)
    (load_ms, run), (first_ms, _) = began
    answer: dict[str, Any] = {"load_ms": round(load_ms, 3), "first_run_ms": round(first_ms, 3)}
    if isinstance(run, OnDevice):
        answer |= {"load_ms": round(run.load_ms, 3), "device": run.describe()}
    return run, image, answer


def _problem(problem: Exception) -> dict[str, Any]:
    # What we raise ourselves is for people; of others the class says something.
    own = type(problem).__module__.partition(".")[0] in ("runtime", "compiler", "dsl")
    words = (str(problem) if own else f"{type(problem).__name__}: {problem}").strip().splitlines()
    return {"problem": words[0][:500]}


def main() -> None:
    """Answer until the input ends."""
    end_with_parent()
    sys.dont_write_bytecode = True
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what native code prints must not mix with the answers
    try:
        run, image, answer = _start(json.loads(sys.stdin.readline()))
    except Exception as problem:
        print(json.dumps(_problem(problem)), file=answers)
        return
    print(json.dumps(answer), file=answers)
    for line in sys.stdin:
        try:
            answer = _answer(run, image, json.loads(line))
        except Exception as problem:
            answer = _problem(problem)
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
