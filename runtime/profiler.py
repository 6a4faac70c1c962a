"""The profiler: tunes the kernels of a space, prices each in the company of others, fits the latency model."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import msgspec

from compiler.footprint import FOOTPRINT_BYTES, footprint
from compiler.ir.graph import SpaceGraph
from compiler.kernel import Kernel
from compiler.latency import LatencyTable, Model
from compiler.passes.chains import chain_kernels
from compiler.passes.flatten import mixed_nodes
from compiler.passes.fuse import Plan
from compiler.pricing import Prices, extreme_plans, plan_of, space_kernels
from compiler.target import Target
from dsl.suggest import counted
from runtime.budget import Budget
from runtime.console import Progress, Silent
from runtime.devices.pool import workers_of
from runtime.devices.tracker import RemoteDevice
from runtime.fit_latency import (
    FEWEST_SAMPLES,
    NETWORK_S,
    affordable,
    builds,
    distinct,
    measure_samples,
    spread_out,
    with_cuts,
)
from runtime.interrupted import told
from runtime.measure import probe_noise
from runtime.price_kernels import Time, price
from runtime.price_log import Price, PriceLog, keep_networks, unmeasured
from runtime.recorded_table import chosen_prices, digest, entry_of, table_from_records
from runtime.records import Key, Records, best_of, key_of
from runtime.shortlist import shortlists
from runtime.tune import TRIALS, tune, usable
from runtime.workers import Workers

TUNING_SHARE = 0.7
"""The part of a budget that is for tuning; the rest prices the kernels and fits the model."""
PRICE_S = 0.15
"""About how long it takes to price a kernel, besides its builds: in three passes, by a few schedules."""
WINNER_TRIALS = 40
"""Schedules tried of each kernel of the network that is built, unless more is asked for."""
OVERRUN = 1.1
"""A budget that is overrun by more than this is said to be too short."""
LARGE_ERROR = 0.3
"""A model whose relative error is larger warns: more than is assumed where nothing is known."""
LEAST_NETWORKS = 2
"""Networks that are measured whole whatever the budget says."""
SPREAD_S = 30.0
"""For how long the networks of a space are run: a machine that is not alone keeps a pace for up to half a minute."""
DRAWN = 200
"""Random networks that say how often a network of the space runs each kernel."""


def profile_space(
    flat: SpaceGraph,
    target: Target,
    *,
    records: Path | str | None = None,
    budget: Budget | None = None,
    trials: int | None = None,
    progress: Progress | None = None,
    seed: int = 0,
    device: RemoteDevice | None = None,
) -> LatencyTable:
    """The latency table of all kernels of a flattened space.

    `records` is the database to keep measurements in (the user's own, if None); what it holds is not measured again.
    With `device`, the remote devices of its key are measured on instead of this machine.

    Raises:
        NothingMeasured, CannotPrice: the machine cannot compile or run kernels; the message says why.
        RecordsProblem: the database cannot be used.
    """
    kernels = space_kernels(flat, target)
    drawn = random_plans(flat, DRAWN if mixed_nodes(flat) else 1, seed)
    counts = Counter(call.kernel.signature for plan in drawn for call in plan.calls)
    weights = {signature: max(counts[signature], 1) / len(drawn) for signature in kernels}
    with Records(records) as database:
        return profile(
            kernels,
            target,
            database,
            sample_plans=spread_out([*extreme_plans(flat), *drawn]),
            budget=budget,
            trials=trials or TRIALS,
            weights=weights,
            progress=progress,
            device=device,
            networks_s=SPREAD_S,
        )


def forget_prices(
    flat: SpaceGraph,
    target: Target,
    *,
    records: Path | str | None = None,
    progress: Progress | None = None,
    device: RemoteDevice | None = None,
) -> None:
    """Remove what the records hold of a flattened space's prices and networks, so that they are measured anew.

    Raises:
        RecordsProblem: the database cannot be used.
    """
    processor = None
    if device is not None:
        with workers_of(target, device, progress or Silent()) as workers:
            processor = workers.processor
    with Records(records) as database:
        database.forget(space_kernels(flat, target), key_of(target, processor))


def random_plans(flat: SpaceGraph, count: int, seed: int) -> list[Plan]:
    """Random networks of a flattened space as kernels; each candidate of a mixed node is as likely."""
    stream = random.Random(seed)
    nodes = mixed_nodes(flat)
    return [plan_of(flat, [stream.choice(node.candidates) for node in nodes]) for _ in range(count)]


def profile(
    kernels: Mapping[str, Kernel],
    target: Target,
    records: Records,
    *,
    sample_plans: Sequence[Plan],
    budget: Budget | None = None,
    trials: int = TRIALS,
    weights: Mapping[str, float] | None = None,
    progress: Progress | None = None,
    device: RemoteDevice | None = None,
    networks_s: float = 0.0,
) -> LatencyTable:
    """Tune what is missing, price every kernel, fit the model on the sample networks, all within the budget.

    The networks are run for `networks_s` at least. Where the budget is short, kernels that were not tried are priced
    with their default schedules, each kernel once, and the model rests on two networks; where even that is longer,
    it is said. All that is measured goes into the records at once, networks when all their rounds are done, and nothing
    that they hold is measured again. The table is what `table_from_records` reads from the records.

    Raises:
        NothingMeasured, CannotPrice: the machine cannot compile or run kernels; the message says why.
        RecordsProblem: the database cannot be used.
    """
    said, budget = progress or Silent(), budget or Budget()
    with told(lambda: kept_of(records)), workers_of(target, device, said) as workers:
        samples = with_cuts(sample_plans)
        networks, networks_after_s = builds(samples, len(workers.all)), NETWORK_S * len(samples)
        processor, key = workers.processor, key_of(target, workers.processor)
        noise = probe_noise(target, workers.first)
        if noise.noisy:
            said.note(f"the machine is busy (spread {noise.spread:.2f}, stolen time {noise.steal:.0%})")
        touched = round(mean(map(footprint, sample_plans))) if sample_plans else FOOTPRINT_BYTES
        tuned = tune(
            kernels,
            target,
            records,
            trials=trials,
            budget=budget,
            share=TUNING_SHARE,
            builds_after=len(kernels) + networks,
            after_s=networks_after_s + PRICE_S * len(kernels),
            weights=weights,
            progress=said,
            workers=workers,
            footprint_bytes=touched,
        )
        wanted = shortlists(kernels, target, usable(records, kernels, key))
        schedules = counted(sum(map(len, wanted.values())), "schedule")
        said.note(f"pricing {counted(len(kernels), 'kernel')}, {schedules}")
        company = round(mean(len(plan.kernels) for plan in sample_plans)) if sample_plans else 16
        log = PriceLog(records, target, wanted, company, noise, processor=processor)
        time = Time(budget, tuned.build_each_s, networks, networks_after_s)
        prices = price(target, workers, log, footprint_bytes=touched, progress=said, time=time)
        _measure_networks(sample_plans, prices, target, workers, records, key, time, networks_s, said)
    table = table_from_records(kernels, target, records, processor)
    _note_model(table.model, said)
    note_overrun(budget, said)
    return table


def _measure_networks(
    sample_plans: Sequence[Plan],
    prices: Mapping[str, Price],
    target: Target,
    workers: Workers,
    records: Records,
    key: Key,
    time: Time,
    seconds: float,
    said: Progress,
) -> None:
    """Measure sample networks whole, as many as there is time for, and keep them; of the longest and the shortest a
    model can do without neither.
    """
    schedules = {name: price.schedule for name, price in prices.items()}
    medians = {name: price.median_ns / 1e6 for name, price in prices.items()}
    built = [Prices(medians, 0.0, target).joined(plan) for plan in sample_plans]
    networks = with_cuts(distinct(built))
    plans = unmeasured(records, key, networks, schedules)
    least = max(0, LEAST_NETWORKS - (len(networks) - len(plans)))
    plans = affordable(plans, time.build_s, len(workers.all), time.budget.left_s, least)
    if plans:
        measured = measure_samples(plans, prices, target, workers, said, time.budget, seconds)
        keep_networks(records, target, plans, schedules, *measured)
    time.budget.mark()


def _note_model(model: Model, said: Progress) -> None:
    """Say where the model's error is assumed, or so large that predictions are of little use."""
    if len(model.samples) < FEWEST_SAMPLES:
        networks = counted(len(model.samples), "network")
        said.note(f"the latency model rests on {networks}: an error of {model.error:.0%} is assumed")
    if model.error > LARGE_ERROR:
        said.note(
            f"predictions are off by {model.error:.0%} on networks that were measured whole: the machine was "
            "disturbed, or the budget too short; trust what is measured of the bundle, and measure anew on a quiet "
            "machine (`onepath profile --restart`; of an .onnx file `onepath build` with another --records)"
        )


def note_overrun(budget: Budget, said: Progress) -> None:
    """Say that a budget was too short for what must be measured at least."""
    if budget.seconds is not None and budget.spent_s > OVERRUN * budget.seconds:
        said.note(
            f"took {budget.spent_s:.1f} s, and the budget is {budget.seconds:g} s: each kernel is built and run once "
            "at least, and two networks"
        )


def kept_of(records: Records) -> str:
    """What an interrupt leaves of the measurements of this run."""
    if not records.written:
        return "nothing was measured yet by this run: the same command begins anew"
    kept = f"{counted(records.written, 'measurement')} of this run {'is' if records.written == 1 else 'are'} kept"
    return f"{kept} in {records.path}, the same command goes on from there"


def tune_network(
    plan: Plan,
    table: LatencyTable,
    target: Target,
    *,
    records: Path | str | None = None,
    budget: Budget | None = None,
    trials: int | None = None,
    progress: Progress | None = None,
    device: RemoteDevice | None = None,
) -> LatencyTable:
    """Tune the kernels of one network further; its own latency table, with the model of the space's.

    Kernels whose schedule stays keep the price of `table`, those that changed are priced anew, all within the budget
    where it is long enough to price each once.

    Raises:
        NothingMeasured, CannotPrice: the machine cannot compile or run kernels; the message says why.
        RecordsProblem: the database cannot be used.
    """
    counts = Counter(call.kernel.signature for call in plan.calls)
    kernels, budget, said = chain_kernels(plan, target), budget or Budget(), progress or Silent()
    with (
        Records(records) as database,
        told(lambda: kept_of(database)),
        workers_of(target, device, said) as workers,
    ):
        processor, key = workers.processor, key_of(target, workers.processor)
        tuned = tune(
            kernels,
            target,
            database,
            trials=trials or WINNER_TRIALS,
            budget=budget,
            share=TUNING_SHARE,
            builds_after=len(kernels),
            after_s=PRICE_S * len(kernels),
            weights=counts,
            footprint_bytes=footprint(plan),
            progress=progress,
            workers=workers,
        )
        rows = usable(database, kernels, key)
        noise = probe_noise(target, workers.first)
        wanted = shortlists(kernels, target, rows)
        log = PriceLog(database, target, wanted, len(plan.kernels), noise, processor=processor)
        time = Time(budget, tuned.build_each_s)
        price(target, workers, log, footprint_bytes=footprint(plan), progress=said, time=time)
        note_overrun(budget, said)
        prices = chosen_prices(database.prices(kernels, key), wanted)
    measured = best_of(rows)
    entries = {name: entry_of(price, measured) for name, price in prices.items()}
    # What stays as it was keeps the price that the search went by.
    kept = {
        name: held
        for name, held in table.entries.items()
        if name in entries and held.schedule == entries[name].schedule
    }
    new = [price for name, price in prices.items() if name not in kept]
    return msgspec.structs.replace(table, entries=entries | kept, records=digest(new, base=table.records))
