"""Measure the networks that were found on a target of this machine; the times stay as long as networks and table do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

import msgspec

from compiler.pricing import inference_plan
from runtime.bench_contender import BenchProblem
from runtime.console import Progress
from runtime.files import FileProblem, read_json, write_json
from runtime.interrupted import told
from runtime.measure import probe_noise
from runtime.network_rounds import measure_plans
from runtime.run_folder import RunFolder, digest
from runtime.stages import NETWORK, Run
from runtime.targets import here
from runtime.workers import WorkerFailed, Workers

SCHEMA = "onepath.cross_times/1"


@dataclass(frozen=True)
class Measured:
    """The median of each network in ms, and whether the machine was noisy; or why nothing was measured."""

    times_ms: dict[str, float] = field(default_factory=dict)
    noisy: bool = False
    not_measured: str | None = None


def measured_on(folder: RunFolder, run: Run, found: Sequence[Run], progress: Progress) -> Measured:
    """The networks of the runs `found` on the target of `run`: as they were measured, else measured now.

    The caller holds the lock of `folder`, in which the times are kept. A measurement that failed is not kept.

    Raises:
        FileProblem: the file of the times is damaged or cannot be written.
    """
    settings = run.experiment.target
    if settings.latency_table is not None:
        return Measured(not_measured=f"its times are from `{settings.latency_table}`")
    if not found:
        return Measured()
    stage, file = f"times-{settings.name}", f"times-{settings.name}.json"
    inputs = _inputs(run, found)
    if folder.is_current(stage, inputs):
        return _read(folder, file)
    began = time.monotonic()
    kept = f"all runs are kept; the same command measures the times on `{settings.name}` anew and goes on"
    with told(lambda: kept):
        measured = _measured(run, found, progress)
    if measured.not_measured is None and inputs == _inputs(run, found):
        write_json(folder / file, asdict(measured), SCHEMA)
        folder.finish(stage, inputs, (file,), time.monotonic() - began)
    return measured


def _inputs(run: Run, found: Sequence[Run]) -> str:
    """The digest of all that the times depend on."""
    networks = [[each.experiment.target.name, each.sha(NETWORK)] for each in found]
    versions = [version("onepath"), version("apache-tvm")]
    return digest(networks, run.sha(run.table_file), here(run.experiment.target).key, versions)


def _read(folder: RunFolder, file: str) -> Measured:
    try:
        return msgspec.convert(read_json(folder / file, SCHEMA), Measured)
    except msgspec.ValidationError as problem:
        raise FileProblem(
            folder / file, f"has no times ({problem})", "delete it, and they are measured again"
        ) from None


def _measured(run: Run, found: Sequence[Run], progress: Progress) -> Measured:
    """All in turns, each built of the kernels that the target's latency table has."""
    target, table = here(run.experiment.target), run.table(run.table_file)
    plans = [table.joined(inference_plan(each.network())) for each in found]
    try:
        with Workers(target.threads) as workers:
            noise = probe_noise(target, workers.first)
            times = measure_plans(plans, table.schedules, target, workers, progress)
    except (WorkerFailed, BenchProblem) as problem:
        return Measured(not_measured=f"a network cannot be built or run: {problem}")
    names = [each.experiment.target.name for each in found]
    return Measured(dict(zip(names, (each.ms for each in times), strict=True)), noise.noisy)
