"""Random networks of a space, built whole from the space's records: what the table predicts against what is measured.

    python benchmarks/latency_model.py --format json
    python benchmarks/latency_model.py --space examples/proxyless_mobile.space --networks 60 --format json

The space is profiled first, within `--budget` seconds, as `onepath profile` does it; no kernel is tuned further for
any network. Each network is compiled from exactly the schedules of the table and run from end to end, a process each,
in `--rounds` rounds over all networks, of which the middle one counts, as of a kernel's prices. Printed are
Spearman's rank correlation, the relative errors of predicted over measured, and how far the rounds agree among
themselves, which bounds what any prediction can reach.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from compiler.architecture import Architecture, draws
from compiler.frontend import space_of
from compiler.ir.graph import SpaceGraph
from compiler.latency import LatencyTable
from compiler.limits import feasible
from compiler.passes.flatten import flatten
from compiler.passes.fuse import Plan
from compiler.pricing import sample_plan
from compiler.target import Target
from dsl.reading import read
from runtime.budget import Budget
from runtime.console import Console
from runtime.device import fingerprint, host
from runtime.network_rounds import measure_rounds
from runtime.profiler import profile_space
from runtime.workers import Workers

ROOT = Path(__file__).resolve().parents[1]
SPACE = ROOT / "examples/cifar10.space"
ROUNDS = 5
COEFFICIENTS = ("constant_ms", "per_call_ms", "per_megabyte_ms")
EACH = ("predicted_ms", "measured_ms")
"""What the result has of each network, which the text leaves out."""


def drawn(space: SpaceGraph, count: int, seed: int) -> Iterator[Architecture]:
    """Random networks that keep the limits of the space, evenly drawn."""
    return islice(feasible(space, draws(space, seed), lambda *_: None), count)


def measured_ms(
    plans: Sequence[Plan], table: LatencyTable, target: Target, rounds: int, console: Console
) -> list[list[float]]:
    """Each network's median latency in each round, built of the table's kernels."""
    built = [table.joined(plan) for plan in plans]
    with console.stage("measure"), Workers(target.threads) as workers:
        return measure_rounds(built, table.schedules, target, workers, console, rounds=rounds)


def repeats(measured: Sequence[Sequence[float]]) -> dict[str, Any]:
    """How far the rounds agree: rank correlations between any two, and a network's greatest time over its least."""
    rounds = np.array(measured).T
    ranks = [float(spearmanr(one, other).statistic) for one, other in combinations(rounds, 2)]
    spreads = 100 * (rounds.max(axis=0) / rounds.min(axis=0) - 1)
    return {
        "spearman": [round(rank, 4) for rank in ranks],
        "spread_percent": {"median": float(np.median(spreads)), "worst": float(spreads.max())},
        "medians_ms": [float(np.median(times)) for times in rounds],
    }


def summary(predicted: Sequence[float], measured: Sequence[float]) -> dict[str, Any]:
    """How well the predictions fit."""
    errors = np.array(predicted) / np.array(measured) - 1
    return {
        "spearman": float(spearmanr(predicted, measured).statistic),
        "mean_absolute_percentage_error": float(100 * np.abs(errors).mean()),
        "worst_percentage_error": float(100 * np.abs(errors).max()),
        "bias_percent": float(100 * errors.mean()),
        "networks": len(predicted),
        "range_ms": [min(measured), max(measured)],
    }


def main() -> int:
    """Profile, draw, build, measure, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", type=Path, default=SPACE)
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each network is measured")
    parser.add_argument("--budget", type=float, default=300.0, help="seconds of profiling")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--records", type=Path, help="a database to use and fill; default one for this run alone"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    given = parser.parse_args()
    space, target = space_of(read(given.space)), host(given.threads)
    flat = flatten(space)
    with tempfile.TemporaryDirectory() as scratch:
        records = given.records or Path(scratch) / "records.sqlite"
        began = time.monotonic()
        console = Console()
        with console.stage("profile"):
            table = profile_space(
                flat, target, records=records, budget=Budget(given.budget), progress=console
            )
        seconds = time.monotonic() - began
    networks = drawn(space, given.networks, given.seed)
    plans = [sample_plan(flat, architecture.choices) for architecture in networks]
    predicted = [table.predict_plan(plan).latency_ms for plan in plans]
    rounds = measured_ms(plans, table, target, given.rounds, console)
    result: Mapping[str, Any] = {
        "space": space.name,
        "threads": target.threads,
        "processor": fingerprint(),
        **summary(predicted, [median(times) for times in rounds]),
        "rounds": repeats(rounds),
        "stated_error_percent": 100 * table.model.error,
        "kernels": len(table.entries),
        "tuned_kernels": sum(entry.tuned for entry in table.entries.values()),
        "profile_s": round(seconds, 1),
        "model": {name: getattr(table.model, name) for name in COEFFICIENTS},
        "noise": {name: getattr(table.noise, name) for name in ("load", "steal", "spread", "noisy")},
        "predicted_ms": [round(time, 5) for time in predicted],
        "measured_ms": [[round(time, 5) for time in times] for times in rounds],
    }
    if given.format == "json":
        print(json.dumps(result, indent=2))
    else:
        print("\n".join(f"{name:32} {value}" for name, value in result.items() if name not in EACH))
    return 0


if __name__ == "__main__":
    sys.exit(main())
