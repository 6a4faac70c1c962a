"""Our tuner and TVM's MetaSchedule on the same kernels: trials a minute, speed reached, time to the same speed.

    python benchmarks/tuner.py --format json
    python benchmarks/tuner.py --shares

The kernels are the costliest different ones of MobileNetV2 at 224x224, one of them a depthwise convolution. Both
tuners get the same target, threads and number of trials; ours stops earlier where nothing is gained. MetaSchedule
is the stock one with its own builder and runner; it runs with XGBoost's cost model where `xgboost` is installed, else
with random scores; its time-outs are two minutes, since with 30 s every build fails on a slow machine. Final speeds
are of the same kind: the kernel repeated with all in its caches. Needs TVM's `cloudpickle`.

With `--shares` ours alone runs, and it is told how much of a trial's time is its build (all workers at once), how much
its run, and how much all else.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any, Literal

import tvm
from mobilenet_v2 import SPACE, network_of
from tvm import relax
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule

from compiler.codegen.naive import naive_kernel
from compiler.codegen.tvm_api import tvm_target
from compiler.passes.fuse import KernelCall, Plan
from compiler.target import Target
from runtime.device import fingerprint, host
from runtime.measure import random_weights, time_alone
from runtime.records import Record, Records
from runtime.tune import tune
from runtime.workers import Workers

CLOSE = 1.02
"""Within this factor of a speed, it is reached."""
TIMEOUT_S = 120.0
ALONE_MS = 50.0


@dataclass
class Outcome:
    """What a tuner did: trials, seconds, and when each kernel was how fast, alone, in nanoseconds."""

    trials: int = 0
    failed: int = 0
    seconds: float = 0.0
    history: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def best_ns(self, signature: str) -> float:
        """The fastest time of a kernel."""
        return min((time_ns for _, time_ns in self.history.get(signature, [])), default=float("inf"))

    def reached_s(self, wanted_ns: Mapping[str, float]) -> float | None:
        """When all kernels first were as fast as is wanted; None if some never were."""
        moments = [
            min((at for at, time_ns in self.history.get(name, []) if time_ns <= CLOSE * limit), default=None)
            for name, limit in wanted_ns.items()
        ]
        found = [moment for moment in moments if moment is not None]
        return max(found) if len(found) == len(moments) else None


def costliest(count: int) -> list[KernelCall]:
    """Calls of the different kernels with the most arithmetic, the last replaced by the costliest depthwise one."""
    plan = network_of(SPACE).plan
    first = {call.kernel.signature: call for call in reversed(plan.calls)}
    ordered = sorted(first.values(), key=lambda call: -call.kernel.arithmetic_macs)
    depthwise = next(call for call in ordered if call.kernel.steps[0].operator == "depthwise")
    return [*[call for call in ordered if call is not depthwise][: count - 1], depthwise]


def ours(calls: Sequence[KernelCall], target: Target, trials: int) -> Outcome:
    """Tune with our tuner; what improved is then timed alone."""
    kernels = {call.kernel.signature: call.kernel for call in calls}
    with tempfile.TemporaryDirectory() as folder, Records(Path(folder) / "records.sqlite") as records:
        begun, begin = datetime.now(UTC).replace(microsecond=0), time.monotonic()
        result = tune(kernels, target, records, trials=trials)
        seconds, rows = time.monotonic() - begin, records.rows()
    outcome = Outcome(result.measured, result.failed, seconds)
    with Workers(target.threads, 1) as workers:
        for name in kernels:
            own = sorted((row for row in rows if row.signature == name), key=lambda row: row.recency)
            outcome.history[name] = [
                (
                    (row.recency[0] - begun).total_seconds() + 1,
                    time_alone(name, row.schedule, target, workers.first, ALONE_MS),
                )
                for row in _improvements(own)
            ]
    return outcome


def shares(calls: Sequence[KernelCall], target: Target, trials: int) -> dict[str, Any]:
    """What the time of a trial of ours is spent on: building candidates, running them, and all else."""
    kernels = {call.kernel.signature: call.kernel for call in calls}
    with (
        tempfile.TemporaryDirectory() as folder,
        Records(Path(folder) / "records.sqlite") as records,
        Workers(target.threads) as workers,
    ):
        for worker in workers.all:
            worker.ask({"do": "ping"}, TIMEOUT_S)
        begin = time.monotonic()
        result = tune(kernels, target, records, trials=trials, workers=workers)
        seconds = time.monotonic() - begin
    return {
        "threads": target.threads,
        "processor": fingerprint(),
        "trials": result.measured,
        "seconds": round(seconds, 1),
        "milliseconds_per_trial": round(1e3 * seconds / result.measured, 1),
        "build_share": round(result.build_s / seconds, 3),
        "run_share": round(result.run_s / seconds, 3),
        "other_share": round(1 - (result.build_s + result.run_s) / seconds, 3),
    }


def _improvements(rows: Sequence[Record]) -> list[Record]:
    """The records that were the fastest when they were made."""
    found: list[Record] = []
    for row in rows:
        if row.times_ns and (not found or row.median_ns < found[-1].median_ns):
            found.append(row)
    return found


def theirs(calls: Sequence[KernelCall], target: Target, trials: int) -> Outcome:
    """Tune with MetaSchedule, kernel by kernel in one run."""
    wanted, outcome, begin = tvm_target(target), Outcome(), time.monotonic()

    @derived_object
    class Log(meta_schedule.measure_callback.PyMeasureCallback):  # type: ignore[misc]
        """Notes the time of each measured candidate."""

        def apply(self, scheduler: Any, task: int, candidates: Any, builds: Any, runs: Any) -> None:
            del scheduler, candidates, builds
            for run in runs or []:
                outcome.trials += 1
                if run.run_secs is None or run.error_msg is not None:
                    outcome.failed += 1
                    continue
                nanoseconds = 1e9 * median(float(second) for second in run.run_secs)
                own = outcome.history.setdefault(names[int(task)], [])
                own.append((time.monotonic() - begin, nanoseconds))

    tasks, names = [], []
    for call in calls:
        module = _fused(naive_kernel(call, _weights(call)), wanted)
        found = meta_schedule.relax_integration.extract_tasks(module, wanted)
        tasks.append(max(found, key=lambda task: task.weight))
        names.append(call.kernel.signature)
    with tempfile.TemporaryDirectory() as folder:
        contexts, weights = meta_schedule.relax_integration.extracted_tasks_to_tune_contexts(
            tasks, folder, num_threads=os.cpu_count() or 1, seed=1
        )
        meta_schedule.tune.tune_tasks(
            tasks=contexts,
            task_weights=weights,
            work_dir=folder,
            max_trials_global=trials * len(tasks),
            max_trials_per_task=trials,
            builder=meta_schedule.builder.LocalBuilder(timeout_sec=TIMEOUT_S),
            runner=meta_schedule.runner.LocalRunner(timeout_sec=TIMEOUT_S),
            database="memory",
            cost_model=_cost_model(),
            measure_callbacks=[Log()],
        )
    outcome.seconds = time.monotonic() - begin
    return outcome


@contextmanager
def messages_aside() -> Iterator[None]:
    """Whatever is written to the standard output meanwhile goes to the standard error: MetaSchedule logs there."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _cost_model() -> Literal["xgb", "random"]:
    """MetaSchedule's usual one where it can be had."""
    return "xgb" if find_spec("xgboost") else "random"


def _weights(call: KernelCall) -> dict[str, Any]:
    types = dict(zip((*call.inputs, call.output), (*call.kernel.inputs, call.kernel.output), strict=True))
    return random_weights(Plan(call.inputs, (call,), call.output, types))


def _fused(module: Any, target: Any) -> Any:
    """The kernel as one function, the way MetaSchedule takes it."""
    with target:
        return tvm.transform.Sequential(
            [
                relax.transform.LegalizeOps(),
                relax.transform.AnnotateTIROpPattern(),
                relax.transform.FoldConstant(),
                relax.transform.FuseOps(),
                relax.transform.FuseTIR(),
            ]
        )(module)


def main() -> int:
    """Tune with both, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kernels", type=int, default=4, help="different kernels to tune, at least 2")
    parser.add_argument("--trials", type=int, default=64, help="trials of each kernel")
    parser.add_argument("--shares", action="store_true", help="only what a trial of ours spends its time on")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    given = parser.parse_args()
    target, calls = host(given.threads), costliest(given.kernels)
    if given.shares:
        print(json.dumps(shares(calls, target, given.trials), indent=2))
        return 0
    with messages_aside():
        outcomes = {
            "onepath": ours(calls, target, given.trials),
            "metaschedule": theirs(calls, target, given.trials),
        }
    result = compare(calls, outcomes, given.threads)
    print(json.dumps(result, indent=2) if given.format == "json" else _text(result))
    return 0


def compare(calls: Sequence[KernelCall], outcomes: Mapping[str, Outcome], threads: int) -> dict[str, Any]:
    """The figures of both, and their ratios."""
    names = [call.kernel.signature for call in calls]
    own, other = outcomes["onepath"], outcomes["metaschedule"]
    goal = {name: other.best_ns(name) for name in names}
    rates = {tuner: 60 * each.trials / each.seconds for tuner, each in outcomes.items()}
    return {
        "threads": threads,
        "processor": fingerprint(),
        "tvm": tvm.__version__,
        "cost_model": _cost_model(),
        "trials": {tuner: each.trials for tuner, each in outcomes.items()},
        "failed": {tuner: each.failed for tuner, each in outcomes.items()},
        "seconds": {tuner: round(each.seconds, 1) for tuner, each in outcomes.items()},
        "trials_per_minute": {tuner: round(rate, 1) for tuner, rate in rates.items()},
        "trials_per_minute_ratio": rates["onepath"] / rates["metaschedule"],
        "gflops": {
            call.kernel.signature: {
                tuner: 2 * call.kernel.arithmetic_macs / each.best_ns(call.kernel.signature)
                for tuner, each in outcomes.items()
            }
            for call in calls
        },
        "speed_ratio": geometric_mean([goal[name] / own.best_ns(name) for name in names]),
        "seconds_to_its_best": {tuner: each.reached_s(goal) for tuner, each in outcomes.items()},
    }


def _text(result: Mapping[str, Any]) -> str:
    lines = [f"{result['threads']} thread(s), {result['processor']}; trials a minute, trials, seconds"]
    for tuner in result["trials"]:
        rate, trials, seconds = (result[key][tuner] for key in ("trials_per_minute", "trials", "seconds"))
        lines.append(f"{rate:9.1f} {trials:6} {seconds:8.1f}  {tuner}")
    lines += [
        f"{row['onepath']:9.1f} {row['metaschedule']:9.1f} GFLOP/s  {name}"
        for name, row in result["gflops"].items()
    ]
    reached = result["seconds_to_its_best"]
    lines.append(f"MetaSchedule's best speed after s: {reached}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
