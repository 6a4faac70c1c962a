"""The profiler: tunes the kernels of a space, prices each in the company of others, fits the latency model."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import mean

import msgspec

from compiler.ir.graph import SpaceGraph
from compiler.kernel import Kernel
from compiler.latency import LatencyTable
from compiler.passes.chains import chain_kernels
from compiler.passes.flatten import mixed_nodes
from compiler.passes.fuse import Plan
from compiler.pricing import Prices, sample_plan, space_kernels
from compiler.target import Target
from runtime.console import Progress, Silent
from runtime.fit_latency import FEWEST_SAMPLES, distinct, fit, spread_out, with_cuts
from runtime.footprint import FOOTPRINT_BYTES, footprint
from runtime.measure import probe_noise
from runtime.price_kernels import price
from runtime.price_log import PriceLog, keep_networks, unmeasured
from runtime.recorded_table import chosen_prices, digest, entry_of, table_from_records
from runtime.records import Records, best_of, key_of, seconds_spent
from runtime.shortlist import shortlists
from runtime.tune import TRIALS, tune, usable
from runtime.workers import Workers

TUNING_SHARE = 0.7
"""The part of a budget that is for tuning; the rest prices the kernels and fits the model."""
WINNER_TRIALS = 40
"""Schedules tried of each kernel of the network that is built, unless more is asked for."""
DRAWN = 200
"""Random networks that say how often a network of the space runs each kernel."""


def profile_space(
    flat: SpaceGraph,
    target: Target,
    *,
    records: Path | str | None = None,
    budget_s: float | None = None,
    trials: int | None = None,
    progress: Progress | None = None,
    seed: int = 0,
    fresh: bool = False,
    begun: datetime | None = None,
) -> LatencyTable:
    """The latency table of all kernels of a flattened space.

    `records` is the database to keep measurements in (the user's own, if None). With `fresh`, prices that it
    holds are measured anew. What was spent on tuning since `begun` is part of the budget.

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
            sample_plans=spread_out(drawn),
            budget_s=budget_s,
            trials=trials or TRIALS,
            weights=weights,
            progress=progress,
            fresh=fresh,
            begun=begun,
        )


def random_plans(flat: SpaceGraph, count: int, seed: int) -> list[Plan]:
    """Random networks of a flattened space as kernels; each candidate of a mixed node is as likely."""
    stream = random.Random(seed)
    plans = []
    for _ in range(count):
        chosen = [stream.choice(node.candidates).choices for node in mixed_nodes(flat)]
        plans.append(sample_plan(flat, {path: choice for part in chosen for path, choice in part}))
    return plans


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
    fresh: bool = False,
    begun: datetime | None = None,
) -> LatencyTable:
    """Tune what is missing, price every kernel, fit the model on the sample networks.

    Where the budget ends early, kernels that were not tried are priced with their default schedules. All that
    is measured goes into the records at once, and nothing that they hold is measured again, but prices and
    networks are with `fresh`. What was spent on tuning since `begun` is part of the budget. The table is what
    `table_from_records` reads from the records.

    Raises:
        NothingMeasured, CannotPrice: the machine cannot compile or run kernels; the message says why.
        RecordsProblem: the database cannot be used.
    """
    said = progress or Silent()
    with Workers(target.threads) as workers:
        noise = probe_noise(target, workers.first)
        if noise.noisy:
            said.note(f"the machine is busy (spread {noise.spread:.2f}, stolen time {noise.steal:.0%})")
        tuning_s = None if budget_s is None else TUNING_SHARE * budget_s
        tuning_s = _left(tuning_s, kernels, target, records, begun)
        touched = round(mean(map(footprint, sample_plans))) if sample_plans else FOOTPRINT_BYTES
        tune(
            kernels,
            target,
            records,
            trials=trials,
            budget_s=tuning_s,
            weights=weights,
            progress=said,
            workers=workers,
            footprint_bytes=touched,
        )
        wanted = shortlists(kernels, target, usable(records, kernels, key_of(target)))
        said.note(f"pricing {len(kernels)} kernels, {sum(map(len, wanted.values()))} schedules")
        company = round(mean(len(plan.kernels) for plan in sample_plans)) if sample_plans else 16
        log = PriceLog(records, target, wanted, company, noise, fresh=fresh)
        prices = price(target, workers, log, footprint_bytes=touched, progress=said)
        schedules = {name: price.schedule for name, price in prices.items()}
        medians = {name: price.median_ns / 1e6 for name, price in prices.items()}
        built = [Prices(medians, 0.0, 0.0, target).joined(plan) for plan in sample_plans]
        networks = with_cuts(distinct(built))
        plans = networks if fresh else unmeasured(records, target, networks, schedules)
        samples = fit(plans, prices, target, workers, said).samples if plans else ()
        keep_networks(records, target, plans, schedules, samples)
    table = table_from_records(kernels, target, records)
    if len(table.model.samples) < FEWEST_SAMPLES:
        said.note(
            f"the latency model rests on {len(table.model.samples)} networks: "
            f"an error of {table.model.error:.0%} is assumed"
        )
    return table


def tune_network(
    plan: Plan,
    table: LatencyTable,
    target: Target,
    *,
    records: Path | str | None = None,
    budget_s: float | None = None,
    trials: int | None = None,
    progress: Progress | None = None,
    begun: datetime | None = None,
) -> LatencyTable:
    """Tune the kernels of one network further; its own latency table, with the model of the space's.

    Kernels whose schedule stays keep the price of `table`, those that changed are priced anew. What was spent
    since `begun` is part of the budget.

    Raises:
        NothingMeasured, CannotPrice: the machine cannot compile or run kernels; the message says why.
        RecordsProblem: the database cannot be used.
    """
    counts = Counter(call.kernel.signature for call in plan.calls)
    kernels = chain_kernels(plan, target)
    with Records(records) as database, Workers(target.threads) as workers:
        tune(
            kernels,
            target,
            database,
            trials=trials or WINNER_TRIALS,
            budget_s=_left(budget_s, kernels, target, database, begun),
            weights=counts,
            footprint_bytes=footprint(plan),
            progress=progress,
            workers=workers,
        )
        rows = usable(database, kernels, key_of(target))
        noise = probe_noise(target, workers.first)
        wanted = shortlists(kernels, target, rows)
        log = PriceLog(database, target, wanted, len(plan.kernels), noise)
        price(target, workers, log, footprint_bytes=footprint(plan))
        prices = chosen_prices(database.prices(kernels, key_of(target)), wanted)
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


def _left(
    budget_s: float | None,
    kernels: Mapping[str, Kernel],
    target: Target,
    records: Records,
    begun: datetime | None,
) -> float | None:
    """What is left of a budget for tuning, of which some was spent by runs that were interrupted."""
    if budget_s is None or begun is None:
        return budget_s
    return max(0.0, budget_s - seconds_spent(records.rows(kernels, key_of(target)), begun))
