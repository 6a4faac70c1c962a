"""Whole networks, built of given schedules and timed from end to end, the way a bundle is run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from compiler.codegen.schedules.template import Schedule
from compiler.passes.fuse import Plan
from compiler.target import Target
from runtime.bench import cores as bench_cores
from runtime.bench_contender import Contender
from runtime.budget import Budget
from runtime.console import Progress, Silent
from runtime.devices.networks import NetworkTime, time_networks
from runtime.devices.pool import Devices
from runtime.measure import compile_plans
from runtime.price_kernels import PASSES
from runtime.rounds import middle, runs
from runtime.tvm_libraries import link_runtime
from runtime.workers import Workers

WARM_UP = 20
"""Runs of a network before it is timed."""


def measure_plans(
    plans: Sequence[Plan],
    schedules: Mapping[str, Schedule],
    target: Target,
    workers: Workers,
    progress: Progress | None = None,
    budget: Budget | None = None,
    seconds: float = 0.0,
) -> list[NetworkTime]:
    """The p50 of each network, in the middle one of several rounds that take `seconds` at least.

    Once the budget has ended no further round is begun.
    """
    if isinstance(workers, Devices):
        return _measure_on_devices(plans, schedules, target, workers, progress or Silent(), budget)
    rounds = measure_rounds(plans, schedules, target, workers, progress, seconds=seconds, budget=budget)
    return [NetworkTime(middle(times, float), workers.processor) for times in rounds]


def _measure_on_devices(
    plans: Sequence[Plan],
    schedules: Mapping[str, Schedule],
    target: Target,
    devices: Devices,
    said: Progress,
    budget: Budget | None,
) -> list[NetworkTime]:
    with TemporaryDirectory(prefix="onepath-") as name:
        paths = _paths(Path(name), len(plans))
        compile_plans(plans, schedules, target, paths, devices, said)
        shapes = [(1, *plan.types[plan.inputs[0]]) for plan in plans]
        return time_networks(devices, paths, shapes, PASSES, said, budget)


def measure_rounds(
    plans: Sequence[Plan],
    schedules: Mapping[str, Schedule],
    target: Target,
    workers: Workers,
    progress: Progress | None = None,
    *,
    rounds: int = PASSES,
    seconds: float = 0.0,
    budget: Budget | None = None,
) -> list[list[float]]:
    """The p50 of each network in each round, in milliseconds, run as a bundle runs it.

    There are so many rounds, and more until they took `seconds`. A round runs all networks one after another, each in
    a process of its own that is started for it: a process keeps the speed that its pages give it, and a machine that
    is not alone is slower at times, and faster at others. Once the budget has ended no further round is begun.
    """
    said, budget = progress or Silent(), budget or Budget()
    with TemporaryDirectory(prefix="onepath-") as name:
        folder = Path(name)
        link_runtime(folder)
        paths = _paths(folder, len(plans))
        compile_plans(plans, schedules, target, paths, workers, said)
        times: list[list[float]] = [[] for _ in plans]
        begun, done = time.monotonic(), 0.0
        while done < 1 and not (done and budget.left_s < 0):
            for own, path, plan in zip(times, paths, plans, strict=True):
                own.append(_p50_ms(path, plan, target))
                spread = (time.monotonic() - begun) / seconds if seconds else 1.0
                done = min(1.0, spread, sum(map(len, times)) / (rounds * len(plans)))
                said.update(done, 1.0, kind="timing sample networks")
        return times


def _paths(folder: Path, count: int) -> list[Path]:
    return [folder / f"{index}.so" for index in range(count)]


def _p50_ms(library: Path, plan: Plan, target: Target) -> float:
    """The median of some runs in a new process, after some to warm up."""
    setup = {
        "kind": "library",
        "folder": str(library.parent),
        "library": str(library),
        "shape": (1, *plan.types[plan.inputs[0]]),
        "threads": target.threads,
        "cores": bench_cores(target.threads),
    }
    with Contender(library.name, setup) as contender:
        typical = median(contender.run(WARM_UP))
        return median(contender.run(runs(typical)))
