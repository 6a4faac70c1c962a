"""Make the cross table from the folders of the runs: predictions from their tables, measurements on this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from compiler.architecture import to_json
from compiler.cost import cost
from compiler.ir.graph import Limit, Network
from compiler.limits import holds
from compiler.predict import predict_network
from compiler.pricing import inference_plan
from runtime.answers import limit_words
from runtime.bench_contender import BenchProblem
from runtime.console import Progress, announced
from runtime.files import folder_lock, read_json, sha256_file
from runtime.fit_latency import measure_plans
from runtime.measure import probe_noise
from runtime.pipeline import plan
from runtime.report.cross import write_cross_report
from runtime.run_folder import RunFolder, digest
from runtime.search_stage import ARCHITECTURE, SEARCH_RESULT
from runtime.search_stage import SCHEMA as SEARCH_SCHEMA
from runtime.specialise.cross import Cell, Cross, OnTarget, Searched, read_cross, write_cross
from runtime.specialise.runs import latency_limits
from runtime.stages import NETWORK, REPORT, Run
from runtime.targets import here
from runtime.workers import WorkerFailed, Workers

STAGE = "cross"
CROSS = "cross.json"
TRAINED = "train/result.json"


@dataclass(frozen=True)
class Measured:
    """The median of each network in ms, and whether the machine was noisy; or why nothing was measured."""

    times_ms: Mapping[str, float] = field(default_factory=dict)
    noisy: bool = False
    not_measured: str | None = None


def cross_table(
    folder: RunFolder, runs: Sequence[Run], failed: Mapping[str, str], progress: Progress
) -> Cross:
    """The cross table of the networks that were found, in `cross.json` and `report.html`.

    Where networks and tables are what it was made from, it is read and nothing is measured again.

    Raises:
        FileProblem: another process writes to the folder, or a file is damaged or cannot be written.
        TableProblem: a table lacks kernels of a network.
    """
    found = [run for run in runs if _reached(run, "derive")]
    names = [_name(run) for run in found]
    priced = [run for run in runs if _name(run) in names or _has_prices(run)]
    inputs = digest(STAGE, version("onepath"), _inputs(found, priced), dict(failed))
    with folder_lock(folder.path):
        if not folder.is_current(STAGE, inputs):
            began = time.monotonic()
            with announced(progress, STAGE):
                _write(folder, _made(found, priced, failed, progress), found)
            folder.finish(STAGE, inputs, (CROSS, REPORT), time.monotonic() - began)
        return read_cross(folder / CROSS)


def _write(folder: RunFolder, cross: Cross, found: Sequence[Run]) -> None:
    write_cross(folder / CROSS, cross)
    reports = [_name(run) for run in found if (run.folder / REPORT).is_file()]
    write_cross_report(folder / REPORT, cross, reports)


def _name(run: Run) -> str:
    return run.experiment.target.name


def _reached(run: Run, stage: str) -> bool:
    """Whether a run's files are those of its present settings up to a stage."""
    return all(step.state == "done" for step in plan(run, stage))


def _has_prices(run: Run) -> bool:
    """Whether a target whose search failed has a table, so that the other networks can be told on it."""
    if run.experiment.target.latency_table is not None:
        return True
    return _reached(run, "profile")


def _inputs(found: Sequence[Run], priced: Sequence[Run]) -> Any:
    files = (ARCHITECTURE, NETWORK, SEARCH_RESULT, TRAINED)
    networks = [[_name(run), *[run.sha(name) for name in files]] for run in found]
    tables = [
        [_name(run), run.sha(run.prices_file()), list(map(limit_words, latency_limits(run)))]
        for run in priced
    ]
    return [networks, tables]


def _made(
    found: Sequence[Run], priced: Sequence[Run], failed: Mapping[str, str], progress: Progress
) -> Cross:
    networks = {_name(run): run.network() for run in found}
    cells: dict[str, dict[str, Cell]] = {name: {} for name in networks}
    targets = {}
    for run in priced:
        measured = measured_on(run, networks, progress)
        targets[_name(run)] = _on_target(run, measured)
        for name, network in networks.items():
            cells[name][_name(run)] = _cell(run, network, measured.times_ms.get(name))
    experiment = (found or priced)[0].experiment if found or priced else None
    return Cross(
        experiment.space.name if experiment else "",
        Path(experiment.source.name).name if experiment else "",
        targets,
        {_name(run): _searched(run, networks[_name(run)], cells[_name(run)]) for run in found},
        dict(failed),
    )


def measured_on(run: Run, networks: Mapping[str, Network], progress: Progress) -> Measured:
    """The networks on the target of a run, all in turns, each built of the kernels that its latency table has."""
    settings = run.experiment.target
    if settings.latency_table is not None:
        return Measured(not_measured=f"its times are from `{settings.latency_table}`")
    target, table = here(settings), run.table(run.table_file)
    plans = [table.joined(inference_plan(network)) for network in networks.values()]
    try:
        with Workers(target.threads) as workers:
            noise = probe_noise(target, workers.first)
            times_ms = measure_plans(plans, table.schedules, target, workers, progress)
    except (WorkerFailed, BenchProblem) as problem:
        return Measured(not_measured=f"a network cannot be built or run: {problem}")
    return Measured(dict(zip(networks, times_ms, strict=True)), noise.noisy)


def _on_target(run: Run, measured: Measured) -> OnTarget:
    settings = run.experiment.target
    own = f"{settings.name}/{run.table_file}"
    return OnTarget(
        tuple(map(limit_words, latency_limits(run))),
        settings.latency_table or own,
        sha256_file(run.folder / run.prices_file()),
        measured.not_measured,
        measured.noisy,
    )


def _cell(run: Run, network: Network, measured_ms: float | None) -> Cell:
    predicted = predict_network(run.prices(), network)
    kept = all(_keeps(limit, predicted.latency_ms) for limit in latency_limits(run))
    return Cell(predicted.latency_ms, predicted.error_ms, measured_ms, kept)


def _keeps(limit: Limit, value: float) -> bool:
    return holds(value, limit.comparison, float(limit.bound))  # type: ignore[arg-type]


def _searched(run: Run, network: Network, cells: dict[str, Cell]) -> Searched:
    result, size = read_json(run.folder / SEARCH_RESULT, SEARCH_SCHEMA), cost(network)
    accuracy = result["accuracy_validation"]
    return Searched(
        score=result["score"] if accuracy is None else accuracy,
        accuracy_test=_accuracy_test(run),
        params=size.params,
        macs=size.macs,
        peak_memory_bytes=size.peak_memory_bytes,
        choices=to_json(run.architecture())["choices"],  # type: ignore[arg-type]
        on=cells,
    )


def _accuracy_test(run: Run) -> float | None:
    """What the trained network has, where it was trained."""
    if run.experiment.train is None or not _reached(run, "train"):
        return None
    accuracy: float = read_json(run.folder / TRAINED, "onepath.train/1")["test"]["accuracy"]
    return accuracy
