"""Make the cross table from the folders of the runs: predictions from their tables, measurements on this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from compiler.architecture import to_json
from compiler.cost import cost
from compiler.ir.graph import Limit, Network
from compiler.limits import holds
from compiler.predict import predict_network
from runtime.answers import limit_words
from runtime.console import Progress, announced
from runtime.files import folder_lock, read_json, sha256_file
from runtime.pipeline import plan
from runtime.report.cross import write_cross_report
from runtime.run_folder import RunFolder, digest
from runtime.search_stage import ARCHITECTURE, SEARCH_RESULT
from runtime.search_stage import SCHEMA as SEARCH_SCHEMA
from runtime.specialise.cross import Cell, Cross, OnTarget, Searched, read_cross, write_cross
from runtime.specialise.measured import Measured, measured_on
from runtime.specialise.runs import latency_limits
from runtime.stages import NETWORK, REPORT, TRAIN_SCHEMA, TRAINED, Run

STAGE = "cross"
CROSS = "cross.json"


@dataclass(frozen=True)
class _Parts:
    """What the table is made of: the runs whose network was found, those of them that are trained, by name, and the
    runs of targets with a table, on which networks are told; `failed` says what went wrong."""

    found: tuple[Run, ...]
    trained: frozenset[str]
    priced: tuple[Run, ...]
    failed: dict[str, str]

    def key(self) -> str:
        """The digest of all that the table depends on, of the files as they are now."""
        files = (ARCHITECTURE, NETWORK, SEARCH_RESULT, TRAINED)
        networks = [
            [_name(run), _name(run) in self.trained, *[run.sha(name) for name in files]] for run in self.found
        ]
        tables = [
            [_name(run), run.sha(run.prices_file()), list(map(limit_words, latency_limits(run)))]
            for run in self.priced
        ]
        return digest(STAGE, version("onepath"), [networks, tables], self.failed)


def cross_table(
    folder: RunFolder, runs: Sequence[Run], failed: Mapping[str, str], progress: Progress
) -> Cross:
    """The cross table of the networks that were found, in `cross.json` and `report.html`.

    Where all is what it was made from, it is read. What a target measured is kept apart, and outlasts new limits. A
    table that lacks a measurement which failed, or whose files changed meanwhile, is made again the next time.

    Raises:
        FileProblem: another process writes to the folder, or a file is damaged or cannot be written.
        TableProblem: a table lacks kernels of a network.
    """
    with folder_lock(folder.path):
        parts = _parts(runs, failed)
        inputs = parts.key()
        if folder.is_current(STAGE, inputs):
            return read_cross(folder / CROSS)
        began = time.monotonic()
        with announced(progress, STAGE):
            cross = _made(folder, parts, progress)
            _write(folder, cross, parts.found)
        if not _measurement_failed(cross, parts) and inputs == parts.key():
            folder.finish(STAGE, inputs, (CROSS, REPORT), time.monotonic() - began)
        return cross


def _parts(runs: Sequence[Run], failed: Mapping[str, str]) -> _Parts:
    done = {_name(run): _done(run) for run in runs}
    return _Parts(
        tuple(run for run in runs if "derive" in done[_name(run)]),
        frozenset(name for name, stages in done.items() if "train" in stages),
        tuple(run for run in runs if "derive" in done[_name(run)] or _has_prices(run)),
        dict(failed),
    )


def _done(run: Run) -> set[str]:
    """The stages up to the training whose files are those of the present settings."""
    trained = run.experiment.train is not None and (run.folder / TRAINED).is_file()
    # A run of its own, so that its data go with it.
    steps = plan(replace(run), "train" if trained else "derive")
    return {step.stage for step in steps if step.state == "done"}


def _has_prices(run: Run) -> bool:
    """Whether a target whose search failed has a table, so that the other networks can be told on it."""
    if run.experiment.target.latency_table is not None:
        return True
    return all(step.state == "done" for step in plan(run, "profile"))


def _measurement_failed(cross: Cross, parts: _Parts) -> bool:
    """Whether a target that is measured here was not."""
    here = [_name(run) for run in parts.priced if run.experiment.target.latency_table is None]
    return any(cross.targets[name].not_measured is not None for name in here)


def _write(folder: RunFolder, cross: Cross, found: Sequence[Run]) -> None:
    write_cross(folder / CROSS, cross)
    reports = [_name(run) for run in found if (run.folder / REPORT).is_file()]
    write_cross_report(folder / REPORT, cross, reports)


def _name(run: Run) -> str:
    return run.experiment.target.name


def _made(folder: RunFolder, parts: _Parts, progress: Progress) -> Cross:
    networks = {_name(run): run.network() for run in parts.found}
    cells: dict[str, dict[str, Cell]] = {name: {} for name in networks}
    targets = {}
    for run in parts.priced:
        measured = measured_on(folder, run, parts.found, progress)
        targets[_name(run)] = _on_target(run, measured)
        for name, network in networks.items():
            cells[name][_name(run)] = _cell(run, network, measured.times_ms.get(name))
    experiment = parts.priced[0].experiment if parts.priced else None
    searched = {
        _name(run): _searched(run, networks[_name(run)], _name(run) in parts.trained, cells[_name(run)])
        for run in parts.found
    }
    return Cross(
        experiment.space.name if experiment else "",
        Path(experiment.source.name).name if experiment else "",
        targets,
        searched,
        parts.failed,
    )


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


def _searched(run: Run, network: Network, trained: bool, cells: dict[str, Cell]) -> Searched:
    result, size = read_json(run.folder / SEARCH_RESULT, SEARCH_SCHEMA), cost(network)
    accuracy = result["accuracy_validation"]
    return Searched(
        score=result["score"] if accuracy is None else accuracy,
        accuracy_test=_accuracy_test(run) if trained else None,
        params=size.params,
        macs=size.macs,
        peak_memory_bytes=size.peak_memory_bytes,
        choices=to_json(run.architecture())["choices"],  # type: ignore[arg-type]
        on=cells,
    )


def _accuracy_test(run: Run) -> float:
    accuracy: float = read_json(run.folder / TRAINED, TRAIN_SCHEMA)["test"]["accuracy"]
    return accuracy
