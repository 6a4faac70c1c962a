"""A run for each target: whose caps it has, how far it goes, and what is refused before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from compiler.ir.graph import Limit
from dsl.settings import Adaptive
from runtime.answers import limit_of
from runtime.build_folder import refuse_inside_bundle
from runtime.experiment import Experiment
from runtime.files import FileProblem
from runtime.pipeline import check_possible, stages_of
from runtime.search.options import SearchProblem
from runtime.search_stage import listed_latencies, needs_supernet, search_options_of
from runtime.stages import Run, targets_here
from runtime.targets import UnsupportedTarget, check_bundle, times_alone


def specialised(experiment: Experiment, names: Sequence[str]) -> Experiment:
    """The experiment without the caps that are on the latency of other targets among `names`."""
    search = experiment.search
    if search is None:
        return experiment
    others = {name for name in names if name != experiment.target.name}
    own = tuple(cap for cap in search.caps if cap.target not in others)
    return replace(experiment, search=replace(search, caps=own))


def latency_limits(run: Run) -> list[Limit]:
    """What limits the latency on the run's own target: caps of its search, and what the space requires."""
    search, name = run.experiment.search, run.experiment.target.name
    caps = [limit_of(cap) for cap in (search.caps if search else ())]
    limits = [*caps, *run.experiment.space.limits]
    return [each for each in limits if each.metric == "latency" and each.target == name]


def last_stage(run: Run) -> str:
    """How far the run for a target can go.

    Without a recipe the network is derived. With one it is trained and exported, and the target decides the rest:
    built and measured where it runs here, built alone where `trials = 0` says that nothing is to be measured and the
    target is one of bundles.

    Raises:
        UnsupportedTarget, UnknownProcessor: there is no such target.
    """
    target = run.experiment.target
    if run.experiment.train is None:
        return "derive"
    if target.latency_table is None:
        return "report"
    return "build" if run.untuned and not times_alone(target) and _bundles(run) else "export"


def _bundles(run: Run) -> bool:
    target = run.target
    try:
        check_bundle(target)
    except UnsupportedTarget:
        return False
    return True


def check_runs(folder: Path, runs: Sequence[Run], stages: Sequence[str]) -> None:
    """Find out what some run, up to its stage, would refuse later; nothing is measured or written.

    Raises:
        FileProblem: the folder is that of one run, or inside of a bundle; or a table is damaged.
        NoSuchPart, SearchProblem, DataProblem: what is missing or does not fit.
        UnsupportedTarget: a target that can neither be measured here nor has a latency table.
        TableProblem: a table that lacks blocks of the space.
    """
    refuse_inside_bundle(folder)
    if (folder / "source.space").is_file():
        raise FileProblem(folder, "is the folder of one run", "choose another with --out")
    for run, until in zip(runs, stages, strict=True):
        _check_target(run, until)
    # A run of its own, so that its data go with it.
    first = replace(runs[0])
    check_possible(first, stages_of(first, stages[0]))


def _check_target(run: Run, until: str) -> None:
    search_options_of(run)
    name, space = run.experiment.target.name, run.experiment.space
    if not space.decisions:
        raise SearchProblem(
            f"`{space.name}` has nothing to decide, so that its one network is every target's",
            "give `--target` instead of `--targets`",
        )
    if listed_latencies(run) is not None:
        raise SearchProblem(
            "the table of scores has latencies, which would be those of every target",
            "leave that column out: the latencies come from the targets' latency tables then",
        )
    if not _goes_by_latency(run):
        raise SearchProblem(
            f"nothing limits the latency on `{name}`, so that its search would not be for it",
            f"write `latency <= 8 ms on {name}` in the search, or give it with --set",
        )
    names = [stage.name for stage in stages_of(run, until)]
    if run.experiment.target.latency_table is not None:
        from compiler.predict import candidate_costs

        candidate_costs(run.prices(), run.experiment.flat)
    if "profile" in names:
        targets_here(run)
    if "build" in names:
        check_bundle(run.target)


def _goes_by_latency(run: Run) -> bool:
    """Whether the run's search looks at the latency on its target: under a limit, or as a term of the loss."""
    if latency_limits(run):
        return True
    search = run.experiment.search
    return search is not None and needs_supernet(run) and not isinstance(search.penalty, Adaptive)
