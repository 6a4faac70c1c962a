"""The pipeline: a run is its stages in order, each skipped when its inputs did not change."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from compiler.ir.text import print_space
from compiler.pricing import space_kernels
from dsl.settings import TableEvaluator
from dsl.suggest import counted
from runtime.build_folder import refuse_inside_bundle
from runtime.console import Silent, announced
from runtime.files import folder_lock, write_atomic
from runtime.interrupted import told
from runtime.run_folder import digest
from runtime.search_stage import ARCHITECTURE, check_sizes, needs_supernet, priced, search_options_of
from runtime.stages import (
    STAGES,
    Run,
    Stage,
    train_options_of,
    winner_budget_s,
)

NEED_TABLE = ("profile", "tune", "build", "bench", "report")
"""What can only be reached with a latency table, whoever chose the architecture."""
MEASURED = ("profile", "tune", "bench", "report")
"""What is about measurements, and so is not there for a target on which nothing is measured."""


@dataclass(frozen=True)
class Step:
    """What a dry run says of one stage."""

    stage: str
    title: str
    state: str
    detail: str


def stages_of(run: Run, until: str) -> tuple[Stage, ...]:
    """The stages that lead to `until`; nothing before `tune` needs to profile where the architecture is given, or the
    search takes no latency from a table that is measured here.

    Raises:
        KeyError: there is no such stage.
        UnsupportedTarget: it is about measurements, of a target on which nothing is to be measured.
    """
    every = [stage.name for stage in STAGES]
    if until not in every:
        raise KeyError(until)
    wanted = STAGES[: every.index(until) + 1]
    searches = run.given is None and bool(run.experiment.space.decisions)
    profiles = searches and _profiles_to_search(run)
    if run.untuned:
        _check_untuned(run, until, profiles)
        return tuple(stage for stage in wanted if stage.name not in MEASURED)
    return tuple(stage for stage in wanted if until in NEED_TABLE or profiles or stage.name != "profile")


def _check_untuned(run: Run, until: str, profiles: bool) -> None:
    """Refuse to measure where nothing is to be measured."""
    from runtime.targets import UnsupportedTarget

    name = run.experiment.target.name
    if until in MEASURED:
        raise UnsupportedTarget(
            f"`trials = 0` measures nothing on `{name}`, so there is no {until}; `onepath build` builds for it"
        )
    if profiles:
        raise UnsupportedTarget(
            f"`trials = 0` measures nothing on `{name}`, and the search goes by its latency: give it a "
            "`latency_table`, or the architecture with `--arch`"
        )


def _profiles_to_search(run: Run) -> bool:
    return any(each.latency_table is None for each in priced(run))


def run_until(run: Run, until: str = "report", force: bool = False) -> None:
    """Bring every stage up to `until` up to date, as the folder's one writer; `force` does the last again.

    What was interrupted goes on where it stopped: a stage with steps of its own (profile, search, train,
    tune) from its last one, any other from its beginning. Of several processes all call this; the first does what is to
    be done, and the others follow it where there is something to share.

    Raises:
        FileProblem: another run writes to the folder, it is inside of a bundle, or a file cannot be written.
        RankProblem: another process ended.
        Whatever a stage raises; what was finished before stays.
    """
    with run.ranks.telling():
        if run.ranks.first:
            _lead(run, until, force)
        else:
            _follow(run)


def _lead(run: Run, until: str, force: bool) -> None:
    wanted = stages_of(run, until)
    refuse_inside_bundle(run.folder.path)
    check_possible(run, wanted)
    with folder_lock(run.folder.path):
        _keep_source(run)
        for stage in wanted:
            _bring(run, stage, force and stage.name == until)
    run.ranks.done()


def _follow(run: Run) -> None:
    """Take part in each stage that the first process shares, until it says that this was the last."""
    run.progress, stages = Silent(), {stage.name: stage for stage in STAGES}
    for name, resume, anew in run.ranks.shared():
        run.resume, run.anew = resume, anew
        follow = stages[name].follow
        assert follow is not None, "only stages that are shared are told"
        with run.ranks.sharing_cores():
            follow(run)


def check_possible(run: Run, wanted: Sequence[Stage]) -> None:
    """Find out before the first long stage what the last would refuse: settings, data, shapes.

    Raises:
        NoSuchPart, SearchProblem, DataProblem: what is missing or does not fit.
    """
    names = [stage.name for stage in wanted]
    if "build" in names:
        from runtime.targets import check_bundle

        check_bundle(run.target)
    searches = "search" in names and run.given is None and bool(run.experiment.space.decisions)
    if searches:
        search_options_of(run)
        _ = run.judge
        check_sizes(run)
    if "train" in names:
        train_options_of(run)
    if (searches and needs_supernet(run)) or "train" in names:
        graph = run.experiment.space.graph
        run.data.check_fits(graph.inputs[0].type.sizes, graph.type.sizes)


def _keep_source(run: Run) -> None:
    """The file as it was compiled, the overrides and the space's graph, beside what was made from them."""
    write_atomic(run.folder / "source.space", run.experiment.source.text)
    overrides = "".join(f"{text}\n" for text in run.experiment.overrides)
    write_atomic(run.folder / "overrides.txt", overrides)
    write_atomic(run.folder / "space.graph", print_space(run.experiment.space))


def _inputs(run: Run, stage: Stage) -> str:
    """The digest of all that a stage depends on."""
    return digest(stage.name, version("onepath"), stage.inputs(run))


def _bring(run: Run, stage: Stage, force: bool) -> None:
    inputs = _inputs(run, stage)
    if not force and run.folder.is_current(stage.name, inputs):
        return
    if stage.name == "search":
        _keep_edited(run)
    if force:
        run.folder.forget(stage.name)
    # What was begun from other inputs is no start for these.
    run.resume = run.folder.begin(stage.name, inputs) and not force
    run.anew = force
    began = time.monotonic()
    unfinished = f"{stage.name} was not finished; what is in {run.folder.path} is kept"
    which = "the command without --restart" if force else "the same command"
    with told(lambda: f"{unfinished}, {which} goes on from it"), announced(run.progress, stage.name):
        outputs = _shared(run, stage) if stage.follow else stage.run(run)
    run.folder.finish(stage.name, inputs, outputs, time.monotonic() - began)


def _shared(run: Run, stage: Stage) -> tuple[str, ...]:
    """Run a stage in which the other processes take part."""
    run.ranks.share(stage.name, run.resume, run.anew)
    with run.ranks.sharing_cores():
        return stage.run(run)


def _keep_edited(run: Run) -> None:
    """An architecture that a person edited in its place is kept beside the one that replaces it."""
    record, path = run.folder.record("search"), run.folder / ARCHITECTURE
    if record is None or not path.is_file() or run.sha(ARCHITECTURE) == record.outputs.get(ARCHITECTURE):
        return
    kept = run.folder / "architecture.edited.json"
    write_atomic(kept, path.read_bytes())
    run.progress.note(f"{path} was edited; it is kept as {kept.name}: give it with --arch to use it")


def plan(run: Run, until: str = "report") -> Iterator[Step]:
    """What `run_until` would do. Behind the first stage that is to be done, all that follow are."""
    stale = False
    for stage in stages_of(run, until):
        stale = stale or not run.folder.is_current(stage.name, _inputs(run, stage))
        yield Step(stage.name, stage.title, "to do" if stale else "done", _detail(run, stage.name))


def plan_lines(steps: Iterable[Step]) -> Iterator[str]:
    """A plan for people, a stage a line."""
    for step in steps:
        detail = f" ({step.detail})" if step.detail else ""
        yield f"{step.stage:8} {step.state:6} {step.title}{detail}"


def _detail(run: Run, stage: str) -> str:
    """The size of a stage: kernels, minutes."""
    experiment = run.experiment
    if stage == "profile":
        budget = experiment.search.profile_budget if experiment.search else None
        return f"{counted(len(space_kernels(experiment.flat, run.target)), 'kernel')}{_minutes(budget)}"
    if stage == "search" and experiment.search is not None:
        settings = experiment.search
        if not needs_supernet(run):
            return (
                "judged by a table"
                if isinstance(settings.evaluator, TableEvaluator)
                else "judged by a function"
            )
        return f"{settings.warmup} + {counted(settings.epochs, 'epoch')}{_minutes(settings.budget)}"
    if stage == "train" and experiment.train is not None:
        return f"{counted(experiment.train.epochs, 'epoch')}{_minutes(experiment.train.budget)}"
    if stage == "tune":
        return _minutes(winner_budget_s(run)).lstrip(", ")
    return ""


def _minutes(budget_s: float | None) -> str:
    return f", at most {budget_s / 60:.1f} min" if budget_s is not None else ""
