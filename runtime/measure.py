"""What is measured in worker processes: the machine's noise and limits, compiled networks call by call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from compiler.codegen.schedules.template import Schedule
from compiler.passes.fuse import Plan
from compiler.target import Target
from runtime.console import Progress
from runtime.device import Noise, Roofline, load_average, steal_share
from runtime.files import write_tensors
from runtime.plan_json import plan_to
from runtime.workers import Asked, WorkerFailed, Workers

Weights = Mapping[str, np.ndarray[Any, Any]]
Schedules = Mapping[str, Schedule]

COMPILE_S = 600.0
"""How long the compilation of a whole network may take."""
ALONE_MS = 20.0
"""How long a kernel is run by itself, to find what it takes with all in its caches."""
MEMORY_BYTES = 192 << 20
"""An array larger than any cache, to measure memory's bandwidth."""


def probe_noise(target: Target, worker: Asked | None = None) -> Noise:
    """How quiet the machine, or the remote device, is now; takes about a second.

    Raises:
        WorkerFailed: the known kernel could not be run.
    """
    with _worker(target, worker) as asked:
        answer = asked.ask({"do": "peak", "target": target.to_json(), "repeats": 200})
    times = sorted(1 / rate for rate in answer["gflops"])
    spread = times[len(times) * 9 // 10] / times[len(times) // 2]
    if "load" in answer:
        return Noise(answer["load"], answer["steal"], spread)
    return Noise(load_average(), steal_share(), spread)


def roofline(target: Target, worker: Asked | None = None) -> Roofline:
    """The peak of one core times the threads, and the bandwidth of one core, both the best of many runs.

    Raises:
        WorkerFailed: the measuring code could not be run.
    """
    with _worker(target, worker) as asked:
        rates = asked.ask({"do": "peak", "target": target.to_json(), "repeats": 300})["gflops"]
        request = {"do": "bandwidth", "target": target.to_json(), "bytes": MEMORY_BYTES, "repeats": 8}
        memory = asked.ask(request)["gb_s"]
    return Roofline(float(np.quantile(rates, 0.95)) * target.threads, max(memory))


class _worker:  # noqa: N801  a context manager used like a function
    """The given worker, or one of our own for the moment."""

    def __init__(self, target: Target, worker: Asked | None) -> None:
        self._given = worker
        self._own = None if worker else Workers(target.threads, 1)

    def __enter__(self) -> Asked:
        if self._given is not None:
            return self._given
        assert self._own is not None
        return self._own.__enter__().first

    def __exit__(self, *details: Any) -> None:
        if self._own is not None:
            self._own.__exit__(*details)


def compile_plan(
    plan: Plan,
    weights: Weights,
    schedules: Schedules,
    target: Target,
    path: Path | str,
    worker: Asked | None = None,
) -> dict[str, int]:
    """Compile the network into a shared library whose `main` TVM's virtual machine runs.

    Returns:
        `workspace_bytes` and `constant_bytes` of the network.

    Raises:
        WorkerFailed: it cannot be compiled or linked; the message says why.
        KeyError: a kernel has no schedule, by its signature.
    """
    answer = _with_weights(_compile_request(plan, schedules, target, path), weights, target, worker)
    return {name: int(answer[name]) for name in ("workspace_bytes", "constant_bytes")}


def compile_plans(
    plans: Sequence[Plan],
    schedules: Schedules,
    target: Target,
    paths: Sequence[Path],
    workers: Workers,
    progress: Progress,
) -> None:
    """Compile networks with random weights, as `compile_plan` does, on all workers at once.

    Raises:
        WorkerFailed, KeyError: as there.
    """
    with TemporaryDirectory(prefix="onepath-") as folder:
        requests = []
        for plan, path in zip(plans, paths, strict=True):
            weights = write_tensors(Path(folder) / f"{path.stem}.safetensors", random_weights(plan))
            requests.append(_compile_request(plan, schedules, target, path) | {"weights": str(weights)})
        for done, (_, _, answer) in enumerate(workers.each(requests, COMPILE_S), 1):
            if isinstance(answer, WorkerFailed):
                raise answer
            progress.update(done, len(plans), kind="compiling sample networks")


def write_standalone_files(
    plan: Plan, weights: Weights, schedules: Schedules, target: Target, folder: Path, name: str, title: str
) -> dict[str, Any]:
    """Write the network's C, kernels and weights, without TVM's runtime, into a folder.

    Returns:
        `kernels`, the file that they are in, and `arena_bytes`, `constant_bytes` and `thread_stacks_bytes`.

    Raises:
        WorkerFailed: it cannot be compiled.
        KeyError: a kernel has no schedule, by its signature.
    """
    asked = {"do": "standalone", "folder": str(folder.resolve()), "name": name, "title": title}
    return _with_weights(_request(plan, schedules, target) | asked, weights, target, None)


def compile_cuda(
    plan: Plan, weights: Weights, target: Target, path: Path | str, worker: Asked | None = None
) -> None:
    """Compile the network for a GPU, by TVM's default schedules: no GPU is needed, and nothing is measured.

    Raises:
        WorkerFailed: it cannot be compiled or linked; the message says why.
    """
    request = {"do": "cuda", "plan": plan_to(plan), "target": target.to_json()}
    _with_weights(request | {"path": str(Path(path).resolve())}, weights, target, worker)


def compile_untuned(
    plan: Plan, weights: Weights, target: Target, path: Path | str, worker: Asked | None = None
) -> None:
    """Compile the same network through TVM's default pipeline: no schedule, no record.

    Raises:
        WorkerFailed: it cannot be compiled or linked.
    """
    request = {"do": "naive", "plan": plan_to(plan), "target": target.to_json()}
    _with_weights(request | {"path": str(Path(path).resolve())}, weights, target, worker)


def time_calls(
    plan: Plan,
    weights: Weights,
    schedules: Schedules,
    target: Target,
    *,
    repeats: int = 200,
    worker: Asked | None = None,
) -> list[float]:
    """The median milliseconds of every call of the plan, timed inside the running network.

    Raises:
        WorkerFailed: it cannot be compiled or run.
    """
    request = _request(plan, schedules, target) | {"do": "timed", "repeats": repeats}
    rows = np.array(_with_weights(request, weights, target, worker)["times"])
    return [float(value) / 1e6 for value in np.median(rows, axis=0)]


def time_untuned(plan: Plan, weights: Weights, target: Target, worker: Asked | None = None) -> list[float]:
    """The median milliseconds of every call of the plan, compiled by TVM's default pipeline by itself.

    It finds its inputs in the cache, unlike in a network, and so is shown at its best.

    Raises:
        WorkerFailed: a kernel cannot be compiled or run.
    """
    request = {"do": "untuned", "plan": plan_to(plan), "target": target.to_json(), "seconds": 0.03}
    found = _with_weights(request, weights, target, worker)["times_ns"]
    return [median(found[call.kernel.signature]) / 1e6 for call in plan.calls]


def time_alone(
    signature: str, schedule: Schedule, target: Target, worker: Asked, milliseconds: float = ALONE_MS
) -> float:
    """The median nanoseconds of a kernel that runs again and again, with nothing in between but its inputs' writing.

    Raises:
        WorkerFailed: it cannot be compiled or run.
    """
    build = {"do": "build", "name": "alone", "kernels": [[signature, schedule.text]]}
    worker.ask(build | {"target": target.to_json()})
    rows = worker.ask({"do": "measure", "name": "alone", "lines": 0, "milliseconds": milliseconds})["times"]
    worker.ask({"do": "forget", "name": "alone"})
    return float(median(row[0] for row in rows))


def _compile_request(plan: Plan, schedules: Schedules, target: Target, path: Path | str) -> dict[str, Any]:
    return _request(plan, schedules, target) | {"do": "compile", "path": str(Path(path).resolve())}


def _request(plan: Plan, schedules: Schedules, target: Target) -> dict[str, Any]:
    missing = [signature for signature in plan.kernels if signature not in schedules]
    if missing:
        raise KeyError(f"no schedule for kernel {missing[0]}")
    texts = {signature: schedules[signature].text for signature in plan.kernels}
    return {"plan": plan_to(plan), "schedules": texts, "target": target.to_json()}


def _with_weights(
    request: dict[str, Any], weights: Weights, target: Target, worker: Asked | None
) -> dict[str, Any]:
    with TemporaryDirectory(prefix="onepath-") as folder, _worker(target, worker) as asked:
        path = write_tensors(Path(folder) / "weights.safetensors", weights)
        return asked.ask(request | {"weights": str(path)}, COMPILE_S)


def random_weights(plan: Plan, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Weights of a plan for timing: normal, scaled so that values neither vanish nor grow."""
    generator = np.random.default_rng(seed)
    weights: dict[str, np.ndarray[Any, Any]] = {}
    for call in plan.calls:
        for step, name, shape in call.kernel.weights:
            scale = (2.0 / max(1, int(np.prod(shape[1:])))) ** 0.5 if name == "weight" else 0.1
            values = generator.standard_normal(shape, dtype=np.float32) * np.float32(scale)
            weights[f"{call.nodes[step]}.{name}"] = values
    return weights
