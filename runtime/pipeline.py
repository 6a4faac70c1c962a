"""The pipeline: a run is its stages in order, each skipped when its inputs did not change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from compiler.pricing import space_kernels
from runtime.console import Console
from runtime.files import folder_lock, write_atomic
from runtime.run_folder import digest
from runtime.stages import STAGES, Run, Stage


@dataclass(frozen=True)
class Step:
    """What a dry run says of one stage."""

    stage: str
    title: str
    state: str
    detail: str


def names(until: str) -> tuple[str, ...]:
    """The stages up to and including `until`.

    Raises:
        KeyError: there is no such stage.
    """
    every = [stage.name for stage in STAGES]
    if until not in every:
        raise KeyError(until)
    return tuple(every[: every.index(until) + 1])


def run_until(run: Run, until: str = "report", force: bool = False) -> None:
    """Bring every stage up to `until` up to date, as the folder's one writer; `force` does the last again.

    What was interrupted goes on where it stopped: a stage with steps of its own (profile, search, train,
    tune) from its last one, any other from its beginning.

    Raises:
        FileProblem: another run writes to the folder, or a file cannot be written.
        Whatever a stage raises; what was finished before stays.
    """
    wanted = names(until)
    with folder_lock(run.folder.path):
        _keep_source(run)
        for stage in STAGES:
            if stage.name in wanted:
                _bring(run, stage, force and stage.name == until)


def _keep_source(run: Run) -> None:
    """The file as it was compiled, and the overrides, beside what was made from it."""
    write_atomic(run.folder / "source.space", run.experiment.source.text)
    overrides = "".join(f"{text}\n" for text in run.experiment.overrides)
    write_atomic(run.folder / "overrides.txt", overrides)


def _bring(run: Run, stage: Stage, force: bool) -> None:
    inputs = digest(stage.name, stage.inputs(run))
    if not force and run.folder.is_current(stage.name, inputs):
        return
    # What was begun from other inputs is no start for these.
    run.resume = run.folder.begin(stage.name, inputs) and not force
    began = time.monotonic()
    with _announced(run, stage):
        outputs = stage.run(run)
    seconds = time.monotonic() - began
    run.folder.finish(stage.name, digest(stage.name, stage.inputs(run)), outputs, seconds)


def _announced(run: Run, stage: Stage) -> AbstractContextManager[None]:
    return run.progress.stage(stage.name) if isinstance(run.progress, Console) else nullcontext()


def plan(run: Run, until: str = "report") -> Iterator[Step]:
    """What `run_until` would do. Behind the first stage that is to be done, all that follow are."""
    stale = False
    for stage in STAGES:
        if stage.name not in names(until):
            return
        stale = stale or not run.folder.is_current(stage.name, digest(stage.name, stage.inputs(run)))
        yield Step(stage.name, stage.title, "to do" if stale else "done", _detail(run, stage.name))


def _detail(run: Run, stage: str) -> str:
    """The size of a stage: kernels, minutes."""
    experiment = run.experiment
    if stage == "profile":
        budget = experiment.search.profile_budget if experiment.search else None
        return f"{len(space_kernels(experiment.flat))} kernels{_minutes(budget)}"
    if stage == "search" and experiment.search is not None:
        settings = experiment.search
        return f"{settings.warmup} + {settings.epochs} epochs{_minutes(settings.budget)}"
    if stage == "train" and experiment.train is not None:
        return f"{experiment.train.epochs} epochs{_minutes(experiment.train.budget)}"
    if stage == "tune":
        return _minutes(experiment.target.tune_budget).lstrip(", ")
    return ""


def _minutes(budget_s: float | None) -> str:
    return f", at most {budget_s / 60:.1f} min" if budget_s is not None else ""
