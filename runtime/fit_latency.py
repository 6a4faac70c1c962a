"""What the sum of the kernels leaves out: a constant and a cost per call, fitted on whole networks.

The networks are built of exactly the priced kernels and run from end to end, the way a bundle is. The fit is
non-negative least squares (Lawson and Hanson, 1974) of the relative errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from scipy.optimize import nnls

from compiler.codegen.schedules.template import Schedule
from compiler.latency import Model, Sample
from compiler.passes.fuse import Plan
from compiler.target import Target
from runtime.bench import cores as bench_cores
from runtime.bench_contender import BenchProblem, Contender
from runtime.budget import Budget
from runtime.console import Progress, Silent
from runtime.devices.networks import NetworkTime, time_networks
from runtime.devices.pool import Devices
from runtime.measure import compile_plan, random_weights
from runtime.price_kernels import PASSES, CannotPrice
from runtime.price_log import Price
from runtime.tvm_libraries import link_runtime
from runtime.workers import WorkerFailed, Workers

SAMPLES = 4
"""Networks of a space that the model is fitted on."""
LEAST_ERROR = 0.02
FEWEST_SAMPLES = 3
"""With fewer networks the two coefficients leave nothing to see an error in."""
UNSEEN_ERROR = 0.25
"""The relative error that is stated then: a cautious assumption, not a measurement."""
NETWORK_S = 2.0
"""About how long a network of a fit takes besides its compilation: to be loaded and timed, once a round."""


def spread_out(plans: Sequence[Plan], count: int = SAMPLES) -> list[Plan]:
    """Different plans from the smallest to the largest by their number of calls, then MACs: a fit needs both ends."""
    ordered = sorted(
        distinct(plans), key=lambda plan: (len(plan.calls), sum(call.kernel.macs for call in plan.calls))
    )
    places = [round(index * (len(ordered) - 1) / max(count - 1, 1)) for index in range(count)]
    return [ordered[place] for place in sorted(set(places))]


def with_cuts(plans: Sequence[Plan]) -> list[Plan]:
    """The plans; where they are too few for a fit, also the first third and two thirds of the longest."""
    if not plans or len(plans) >= FEWEST_SAMPLES:
        return list(plans)
    longest = max(plans, key=lambda plan: len(plan.calls))
    lengths = (max(1, len(longest.calls) * part // 3) for part in (1, 2))
    return distinct([*(_cut(longest, length) for length in lengths), *plans])


def affordable(plans: Sequence[Plan], build_s: float, left_s: float, least: int) -> list[Plan]:
    """The longest of the plans that there is time to compile and run, `least` at the least, in their order.

    `build_s` is how long the compilation of a kernel takes.
    """
    ordered = sorted(range(len(plans)), key=lambda place: -len(plans[place].calls))
    chosen: set[int] = set()
    for place in ordered:
        left_s -= build_s * len(plans[place].kernels) + NETWORK_S
        if left_s < 0 and len(chosen) >= least:
            break
        chosen.add(place)
    return [plan for place, plan in enumerate(plans) if place in chosen]


def _cut(plan: Plan, length: int) -> Plan:
    """The network that ends with the value of the call at `length`; calls it does not need are left out."""
    output = plan.calls[length - 1].output
    needed, calls = {output, *plan.inputs}, []
    for call in reversed(plan.calls[:length]):
        if call.output in needed:
            calls.append(call)
            needed.update(call.inputs)
    types = {name: shape for name, shape in plan.types.items() if name in needed}
    return Plan(plan.inputs, tuple(reversed(calls)), output, types)


def distinct(plans: Sequence[Plan]) -> list[Plan]:
    """The first of all plans that call the same kernels in the same order."""
    found: dict[tuple[str, ...], Plan] = {}
    for plan in plans:
        found.setdefault(tuple(call.kernel.signature for call in plan.calls), plan)
    return list(found.values())


def measure_samples(
    plans: Sequence[Plan],
    prices: Mapping[str, Price],
    target: Target,
    workers: Workers,
    progress: Progress | None = None,
    budget: Budget | None = None,
) -> tuple[tuple[Sample, ...], list[str]]:
    """The networks measured whole, and the processor that each ran on, as records name it.

    Raises:
        CannotPrice: a network cannot be built or run.
    """
    schedules = {signature: price.schedule for signature, price in prices.items()}
    try:
        measured = measure_plans(plans, schedules, target, workers, progress, budget)
    except (WorkerFailed, BenchProblem) as failure:
        raise CannotPrice(f"a network of the space cannot be built or run: {failure}") from None
    samples = tuple(
        Sample(
            len(plan.calls),
            sum(prices[call.kernel.signature].median_ns for call in plan.calls) / 1e6,
            time.ms,
        )
        for plan, time in zip(plans, measured, strict=True)
    )
    return samples, [time.processor for time in measured]


def fit_samples(samples: Sequence[Sample]) -> Model:
    """The model that fits the samples best, and its root mean square relative error on them.

    The error is corrected for the coefficients fitted. Fewer than `FEWEST_SAMPLES` say too little about
    it: then it is at least `UNSEEN_ERROR`, and 1 without any.
    """
    if not samples:
        return Model(0.0, 0.0, 1.0, ())
    scale = np.array([1 / sample.measured_ms for sample in samples])
    left = np.array([sample.measured_ms - sample.kernels_ms for sample in samples])
    matrix = np.stack([np.ones(len(samples)), [float(sample.calls) for sample in samples]], axis=1)
    (constant, per_call), _ = nnls(matrix * scale[:, None], left * scale)
    residuals = (matrix @ [constant, per_call] - left) * scale
    fitted = sum(value > 0 for value in (constant, per_call))
    freedom = max(1, len(samples) - fitted)
    least = LEAST_ERROR if len(samples) >= FEWEST_SAMPLES else UNSEEN_ERROR
    error = max(least, sqrt(float(np.sum(residuals**2)) / freedom))
    return Model(float(constant), float(per_call), error, tuple(samples))


def measure_plans(
    plans: Sequence[Plan],
    schedules: Mapping[str, Schedule],
    target: Target,
    workers: Workers,
    progress: Progress | None = None,
    budget: Budget | None = None,
) -> list[NetworkTime]:
    """The p50 of each network, in the middle one of several rounds.

    Once the budget has ended no further round is begun.
    """
    if isinstance(workers, Devices):
        return _measure_on_devices(plans, schedules, target, workers, progress or Silent(), budget)
    rounds = measure_rounds(plans, schedules, target, workers, progress, budget=budget)
    return [NetworkTime(median(times), workers.processor) for times in rounds]


def _measure_on_devices(
    plans: Sequence[Plan],
    schedules: Mapping[str, Schedule],
    target: Target,
    devices: Devices,
    said: Progress,
    budget: Budget | None,
) -> list[NetworkTime]:
    with TemporaryDirectory(prefix="onepath-") as name:
        paths = _compiled(plans, schedules, target, devices, Path(name), said)
        shapes = [(1, *plan.types[plan.inputs[0]]) for plan in plans]
        return time_networks(devices, paths, shapes, PASSES, said, budget)


def measure_rounds(
    plans: Sequence[Plan],
    schedules: Mapping[str, Schedule],
    target: Target,
    workers: Workers,
    progress: Progress | None = None,
    rounds: int = PASSES,
    budget: Budget | None = None,
) -> list[list[float]]:
    """The p50 of each network in each round, in milliseconds, run as a bundle runs it.

    A round runs all networks one after another, each in a process of its own that is started for it: a process keeps
    the speed that its pages give it, and a machine that is not alone is slower at times, and faster at others. Once
    the budget has ended no further round is begun.
    """
    said = progress or Silent()
    with TemporaryDirectory(prefix="onepath-") as name:
        folder = Path(name)
        link_runtime(folder)
        paths = _compiled(plans, schedules, target, workers, folder, said)
        times: list[list[float]] = [[] for _ in plans]
        for number in range(rounds):
            if number and budget is not None and budget.left_s < 0:
                break
            for index, (path, plan) in enumerate(zip(paths, plans, strict=True)):
                times[index].append(_p50_ms(path, plan, target))
                said.update(
                    number * len(plans) + index + 1, rounds * len(plans), kind="timing sample networks"
                )
        return times


def _compiled(
    plans: Sequence[Plan],
    schedules: Mapping[str, Schedule],
    target: Target,
    workers: Workers,
    folder: Path,
    said: Progress,
) -> list[Path]:
    paths = [folder / f"{index}.so" for index in range(len(plans))]
    for index, plan in enumerate(plans):
        compile_plan(plan, random_weights(plan), schedules, target, paths[index], workers.first)
        said.update(index + 1, len(plans), kind="compiling sample networks")
    return paths


def _p50_ms(library: Path, plan: Plan, target: Target) -> float:
    """The median of about 0.15 s of runs in a new process, after some to warm up."""
    setup = {
        "kind": "library",
        "folder": str(library.parent),
        "library": str(library),
        "shape": (1, *plan.types[plan.inputs[0]]),
        "threads": target.threads,
        "cores": bench_cores(target.threads),
    }
    with Contender(library.name, setup) as contender:
        typical = median(contender.run(20))
        return median(contender.run(int(min(5000, max(100, 150 / typical)))))
