"""The profiler: tunes the kernels of a space, prices each in the company of others, fits the latency model.

A price is what the kernel takes while as many others as a network has run in turns with it: their code
and constants pass through the caches between two of its runs, and its inputs have just been written. The
sum of the prices of a network's kernels is then close to the network; what is left over, a constant and a
cost per call, is fitted with non-negative least squares (Lawson and Hanson, 1974) on whole networks that
are built of exactly these kernels and run from end to end, the way a bundle is. Relative errors are what is minimised.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from math import prod, sqrt
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from scipy.optimize import nnls

from compiler.codegen.schedules import candidates
from compiler.codegen.schedules.template import Schedule
from compiler.codegen.tvm_api import version
from compiler.ir.graph import SpaceGraph
from compiler.kernel import FP32_BYTES, Kernel
from compiler.latency import Entry, LatencyTable, MeasuredNoise, Model, Sample
from compiler.passes.flatten import mixed_nodes
from compiler.passes.fuse import Plan
from compiler.pricing import sample_plan, space_kernels
from compiler.target import Target
from runtime.bench import cores as bench_cores
from runtime.bench_contender import BenchProblem, Contender
from runtime.bundle import RUNTIME_LIBRARIES, runtime_library
from runtime.console import Progress, Silent
from runtime.device import fingerprint
from runtime.measure import compile_plan, probe_noise, random_weights
from runtime.records import Record, Records, best_of, digest, key_of
from runtime.tune import TRIALS, tune, usable
from runtime.workers import Worker, WorkerFailed, Workers

TUNING_SHARE = 0.7
"""The part of a budget that is for tuning; the rest prices the kernels and fits the model."""
WINNER_TRIALS = 40
"""Schedules tried of each kernel of the network that is built, unless more is asked for."""
SAMPLES = 4
"""Networks of a space that the model is fitted on."""
PASSES = 3
"""How often each kernel is priced, with all others in between; the lowest median counts, since what
disturbs a measurement only adds to it."""
COMPANY_MS = 150.0
LARGEST_COMPANY = 40
BUILD_S_A_KERNEL = 20.0
LEAST_ERROR = 0.02
FEWEST_SAMPLES = 3
"""With fewer networks the two coefficients leave nothing to see an error in."""
UNSEEN_ERROR = 0.25
"""The relative error that is stated then: a cautious assumption, not a measurement."""
DRAWN = 200
"""Random networks that say how often a network of the space runs each kernel."""


class CannotPrice(Exception):
    """A kernel that can neither be built nor run; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Price:
    """A kernel in company: the median of its runs in nanoseconds, and p90 / p50."""

    median_ns: float
    spread: float


def profile_space(
    flat: SpaceGraph,
    target: Target,
    *,
    records: Path | str | None = None,
    budget_s: float | None = None,
    trials: int | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> LatencyTable:
    """The latency table of all kernels of a flattened space.

    `records` is the database to keep measurements in (the user's own, if None).

    Raises:
        NothingMeasured, CannotPrice: the machine cannot compile or run kernels; the message says why.
        RecordsProblem: the database cannot be used.
    """
    kernels = space_kernels(flat)
    drawn = random_plans(flat, DRAWN if mixed_nodes(flat) else 1, seed)
    counts = Counter(call.kernel.signature for plan in drawn for call in plan.calls)
    weights = {signature: max(counts[signature], 1) / len(drawn) for signature in kernels}
    with Records(records) as database:
        return profile(
            kernels,
            target,
            database,
            sample_plans=spread_out(drawn),
            budget_s=budget_s,
            trials=trials or TRIALS,
            weights=weights,
            progress=progress,
        )


def random_plans(flat: SpaceGraph, count: int, seed: int) -> list[Plan]:
    """Random networks of a flattened space as kernels; each candidate of a mixed node is as likely."""
    stream = random.Random(seed)
    plans = []
    for _ in range(count):
        chosen = [stream.choice(node.candidates).choices for node in mixed_nodes(flat)]
        plans.append(sample_plan(flat, {path: choice for part in chosen for path, choice in part}))
    return plans


def spread_out(plans: Sequence[Plan], count: int = SAMPLES) -> list[Plan]:
    """Different plans from the smallest to the largest by their number of calls, then MACs: a fit needs both ends."""
    ordered = sorted(
        _distinct(plans), key=lambda plan: (len(plan.calls), sum(call.kernel.macs for call in plan.calls))
    )
    places = [round(index * (len(ordered) - 1) / max(count - 1, 1)) for index in range(count)]
    return [ordered[place] for place in sorted(set(places))]


def with_cuts(plans: Sequence[Plan]) -> list[Plan]:
    """The plans; where they are too few for a fit, also the first third and two thirds of the longest."""
    if not plans or len(plans) >= FEWEST_SAMPLES:
        return list(plans)
    longest = max(plans, key=lambda plan: len(plan.calls))
    lengths = (max(1, len(longest.calls) * part // 3) for part in (1, 2))
    return _distinct([*(_cut(longest, length) for length in lengths), *plans])


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


def _distinct(plans: Sequence[Plan]) -> list[Plan]:
    """The first of all plans that call the same kernels in the same order."""
    found: dict[tuple[str, ...], Plan] = {}
    for plan in plans:
        found.setdefault(tuple(call.kernel.signature for call in plan.calls), plan)
    return list(found.values())


def profile(
    kernels: Mapping[str, Kernel],
    target: Target,
    records: Records,
    *,
    sample_plans: Sequence[Plan],
    budget_s: float | None = None,
    trials: int = TRIALS,
    weights: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> LatencyTable:
    """Tune what is missing, price every kernel, fit the model on the sample networks.

    Where the budget ends early, kernels that were not tried are priced with their default schedules.

    Raises:
        NothingMeasured, CannotPrice: the machine cannot compile or run kernels; the message says why.
    """
    said = progress or Silent()
    with Workers(target.threads) as workers:
        noise = probe_noise(target, workers.first)
        if noise.noisy:
            said.note(f"the machine is busy (spread {noise.spread:.2f}, stolen time {noise.steal:.0%})")
        tuning_s = None if budget_s is None else TUNING_SHARE * budget_s
        footprint = round(mean(map(_footprint, sample_plans))) if sample_plans else None
        tune(
            kernels,
            target,
            records,
            trials=trials,
            budget_s=tuning_s,
            weights=weights,
            progress=said,
            workers=workers,
            **({} if footprint is None else {"footprint_bytes": footprint}),
        )
        rows = usable(records, kernels, key_of(target))
        best = best_of(rows)
        schedules = {
            signature: best[signature].schedule if signature in best else candidates(kernel, target)[0]
            for signature, kernel in kernels.items()
        }
        said.note(f"pricing {len(kernels)} kernels")
        company = round(mean(len(plan.kernels) for plan in sample_plans)) if sample_plans else 16
        prices = price(schedules, target, workers, company)
        model = fit(with_cuts(_distinct(sample_plans)), prices, schedules, target, workers)
        if len(model.samples) < FEWEST_SAMPLES:
            said.note(
                f"the latency model rests on {len(model.samples)} networks: an error of {model.error:.0%} is assumed"
            )
    return LatencyTable(
        target=target.to_json(),
        processor=fingerprint(),
        tvm=version(),
        entries=_entries(prices, schedules, rows),
        model=model,
        records=digest(best.values()),
        noise=MeasuredNoise(**asdict(noise), noisy=noise.noisy),
    )


def tune_network(
    plan: Plan,
    table: LatencyTable,
    target: Target,
    *,
    records: Path | str | None = None,
    budget_s: float | None = None,
    trials: int | None = None,
    progress: Progress | None = None,
) -> LatencyTable:
    """Tune the kernels of one network further; its own latency table, with the model of the space's.

    Kernels whose schedule stays keep the price of `table`, those that changed are priced anew.

    Raises:
        NothingMeasured, CannotPrice: the machine cannot compile or run kernels; the message says why.
        RecordsProblem: the database cannot be used.
    """
    counts = Counter(call.kernel.signature for call in plan.calls)
    with Records(records) as database, Workers(target.threads) as workers:
        tune(
            plan.kernels,
            target,
            database,
            trials=trials or WINNER_TRIALS,
            budget_s=budget_s,
            weights=counts,
            footprint_bytes=_footprint(plan),
            progress=progress,
            workers=workers,
        )
        rows = usable(database, plan.kernels, key_of(target))
        best = best_of(rows)
        held = {name: table.schedules[name] for name in plan.kernels if name in table.entries}
        schedules = {
            name: best[name].schedule if name in best else held.get(name) or candidates(kernel, target)[0]
            for name, kernel in plan.kernels.items()
        }
        prices = price(schedules, target, workers, len(schedules))
    entries = _entries(prices, schedules, rows)
    entries |= {name: table.entries[name] for name in held if held[name] == schedules[name]}
    return msgspec.structs.replace(table, entries=entries, records=digest(best.values()))


def _footprint(plan: Plan) -> int:
    """Bytes that one run of a network touches: all constants, and its two largest neighbouring values."""
    constants = sum(prod(shape) for call in plan.calls for _, _, shape in call.kernel.weights)
    values = max(sum(map(prod, (*call.kernel.inputs, call.kernel.output))) for call in plan.calls)
    return FP32_BYTES * (constants + values)


def _entries(
    prices: Mapping[str, Price], schedules: Mapping[str, Schedule], rows: Sequence[Record]
) -> dict[str, Entry]:
    measured = best_of(rows)
    return {
        signature: Entry(
            price.median_ns / 1e6, price.spread, signature in measured, schedules[signature].text
        )
        for signature, price in prices.items()
    }


def price(
    schedules: Mapping[str, Schedule], target: Target, workers: Workers, company: int
) -> dict[str, Price]:
    """Every kernel's time in the company of `company` others.

    Raises:
        CannotPrice: a kernel that fails by itself, too.
    """
    signatures = sorted(schedules)
    random.Random(0).shuffle(signatures)
    count = max(1, round(len(signatures) / max(2, min(company, LARGEST_COMPANY))))
    groups = [signatures[index::count] for index in range(count)]
    requests = [_group_request(str(index), group, schedules, target) for index, group in enumerate(groups)]
    seconds = BUILD_S_A_KERNEL * max(map(len, groups), default=1)
    built: dict[int, Worker] = {}
    failures: dict[int, WorkerFailed] = {}
    for index, worker, answer in workers.each(requests, seconds):
        if isinstance(answer, WorkerFailed):
            failures[index] = answer
        else:
            built[index] = worker
    for index, failure in failures.items():
        raise _culprit(groups[index], schedules, target, workers, failure)
    prices: dict[str, Price] = {}
    for _ in range(PASSES):
        for index, worker in sorted(built.items()):
            _price_group(str(index), groups[index], worker, prices)
    for index, worker in built.items():
        worker.ask({"do": "forget", "name": str(index)})
    return {signature: prices[signature] for signature in schedules}


def _group_request(
    name: str, group: Sequence[str], schedules: Mapping[str, Schedule], target: Target
) -> dict[str, object]:
    kernels = [[signature, schedules[signature].text] for signature in group]
    return {"do": "build", "name": name, "kernels": kernels, "target": target.to_json()}


def _price_group(name: str, group: Sequence[str], worker: Worker, prices: dict[str, Price]) -> None:
    request = {"do": "measure", "name": name, "lines": 0, "milliseconds": COMPANY_MS}
    try:
        rows = np.array(worker.ask(request)["times"], dtype=np.float64)
    except WorkerFailed as failure:
        raise CannotPrice(
            f"kernels could not be run in turns: {failure.reason}; the first is {group[0]}"
        ) from None
    for signature, times in zip(group, rows.T, strict=True):
        middle = float(np.median(times))
        if signature not in prices or middle < prices[signature].median_ns:
            prices[signature] = Price(middle, float(np.quantile(times, 0.9)) / max(middle, 1.0))


def _culprit(
    group: Sequence[str],
    schedules: Mapping[str, Schedule],
    target: Target,
    workers: Workers,
    failure: WorkerFailed,
) -> CannotPrice:
    """The kernel because of which a group could not be built."""
    for signature in group:
        try:
            workers.first.ask(_group_request("one", [signature], schedules, target), BUILD_S_A_KERNEL)
            workers.first.ask({"do": "forget", "name": "one"})
        except WorkerFailed as alone:
            return CannotPrice(f"kernel {signature} cannot be built: {alone.reason}")
    return CannotPrice(f"{len(group)} kernels cannot be built together: {failure.reason}")


def fit(
    plans: Sequence[Plan],
    prices: Mapping[str, Price],
    schedules: Mapping[str, Schedule],
    target: Target,
    workers: Workers,
) -> Model:
    """The constant and the cost of a call, from networks measured whole.

    Raises:
        CannotPrice: a sample network cannot be built or run.
    """
    try:
        measured = _measured(plans, schedules, target, workers)
    except (WorkerFailed, BenchProblem) as failure:
        raise CannotPrice(f"a network of the space cannot be built or run: {failure}") from None
    samples = tuple(
        Sample(
            len(plan.calls), sum(prices[call.kernel.signature].median_ns for call in plan.calls) / 1e6, time
        )
        for plan, time in zip(plans, measured, strict=True)
    )
    return fit_samples(samples)


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


def _measured(
    plans: Sequence[Plan], schedules: Mapping[str, Schedule], target: Target, workers: Workers
) -> list[float]:
    """The p50 of each network in milliseconds, run as a bundle runs it; the lowest of several passes."""
    with TemporaryDirectory(prefix="onepath-") as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "lib").mkdir()
        for package, library in RUNTIME_LIBRARIES.items():
            (folder / "lib" / library).symlink_to(runtime_library(package))
        paths = [folder / f"{index}.so" for index in range(len(plans))]
        for index, plan in enumerate(plans):
            worker = workers.all[index % len(workers.all)]
            compile_plan(plan, random_weights(plan), schedules, target, paths[index], worker)
        common = {
            "kind": "library",
            "folder": name,
            "threads": target.threads,
            "cores": bench_cores(target.threads),
        }
        contenders = [
            stack.enter_context(
                Contender(
                    path.name, {**common, "library": str(path), "shape": (1, *plan.types[plan.inputs[0]])}
                )
            )
            for path, plan in zip(paths, plans, strict=True)
        ]
        passes = [[_p50_ms(contender) for contender in contenders] for _ in range(PASSES)]
        return [min(times) for times in zip(*passes, strict=True)]


def _p50_ms(contender: Contender) -> float:
    """The median of about 0.15 s of runs, after some to warm up."""
    typical = median(contender.run(20))
    return median(contender.run(int(min(5000, max(100, 150 / typical)))))
