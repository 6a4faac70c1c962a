"""`--targets`: the commands `run` and `search` for several targets, one after the other, and the cross table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.cli.board import shown_in
from runtime.cli.common import (
    COULD_NOT,
    NO,
    YES,
    Answer,
    CommandError,
    expected_problems,
    read_source,
    words,
    write_json,
)

if TYPE_CHECKING:
    from runtime.specialise.cross import Cross
    from runtime.stages import Run

Targets = Annotated[
    str | None,
    typer.Option("--targets", metavar="A,B,...", help="search for each of several targets, and compare"),
]


def target_names(given: str) -> tuple[str, ...]:
    """The names in `a,b,c`.

    Raises:
        CommandError: one is empty, or stands twice.
    """
    names = tuple(name.strip() for name in given.split(","))
    if not all(names):
        raise CommandError(
            f"--targets {given}: a name is empty; write it as in `--targets host,raspberry_pi_5`"
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CommandError(f"--targets {given}: `{twice}` stands there twice")
    return names


def open_runs(
    file: Path,
    names: Sequence[str],
    out: Path | None,
    search: str | None,
    space: str | None,
    overrides: list[str] | None,
    records: Path | None,
) -> tuple[Path, list[Run]]:
    """The folder, and in it the run of each target."""
    from runtime.console import Console
    from runtime.experiment import load_experiment
    from runtime.run_folder import RunFolder
    from runtime.specialise.runs import specialised
    from runtime.stages import Run

    source = read_source(file)
    experiments = [
        load_experiment(source, search=search, space=space, target=name, overrides=overrides or ())
        for name in names
    ]
    stem = experiments[0].space.name if str(file) == "-" else file.stem
    folder = out or Path("runs") / f"{stem}-targets"
    runs = [
        Run(specialised(each, names), RunFolder(folder / name), Console(of=name), records)
        for name, each in zip(names, experiments, strict=True)
    ]
    return folder, runs


def run_targets(
    folder: Path, runs: Sequence[Run], until: str | None, board: Path | None, dry_run: bool, form: Answer
) -> None:
    """Run each as far as it goes, or up to a stage, and print the cross table.

    One that fails says so, and the others go on; the command ends with 1 where a limit is not held by a target's own
    network, with 2 where a run failed otherwise.
    """
    from runtime.specialise.runs import check_runs, last_stage

    if runs[0].ranks.size > 1:
        raise CommandError(
            "--targets is for one process: search with `torchrun … --target` for each, into folders of their own"
        )
    stages = [until or last_stage(run) for run in runs]
    check_runs(folder, runs, stages)
    if dry_run:
        _print_plans(runs, stages, form)
        return
    failed, code = _brought(runs, stages, board)
    _answer(folder, runs, failed, form)
    if code != YES:
        raise typer.Exit(code)


def _brought(runs: Sequence[Run], stages: Sequence[str], board: Path | None) -> tuple[dict[str, str], int]:
    """Run each; what went wrong, by target, and the exit code."""
    from runtime.answers import broken_limits
    from runtime.pipeline import run_until
    from runtime.search.options import InfeasibleCap

    failed: dict[str, str] = {}
    codes = {YES}
    for place, (each, stage) in enumerate(zip(runs, stages, strict=True), 1):
        name = each.experiment.target.name
        # A run of its own, so that its data and tables go with it.
        run = replace(each)
        run.progress.note(f"{name}, target {place} of {len(runs)}: up to {stage}, in {run.folder.path}")
        try:
            with shown_in(None if board is None else board / name, run):
                run_until(run, stage)
            said = broken_limits(run)
            codes.add(NO if said else YES)
        except expected_problems() as problem:
            failed[name] = words(problem)
            said = [f"{failed[name]} (the other targets go on)"]
            codes.add(NO if isinstance(problem, InfeasibleCap) else COULD_NOT)
        for message in said:
            typer.echo(f"onepath: target `{name}`: {message}", err=True)
    return failed, max(codes)


def _answer(folder: Path, runs: Sequence[Run], failed: Mapping[str, str], form: Answer) -> None:
    from runtime.console import Console
    from runtime.run_folder import RunFolder
    from runtime.specialise.stage import CROSS, cross_table
    from runtime.specialise.text import cross_lines
    from runtime.stages import REPORT

    cross: Cross = cross_table(RunFolder(folder), [replace(run) for run in runs], failed, Console())
    files = {"cross": str(folder / CROSS), "report": str((folder / REPORT).absolute())}
    if form is Answer.JSON:
        write_json({**files, **cross.describe()})
        return
    print("\n".join([*cross_lines(cross), "", *(f"{name:6}  {path}" for name, path in files.items())]))


def _print_plans(runs: Sequence[Run], stages: Sequence[str], form: Answer) -> None:
    from runtime.pipeline import plan, plan_lines

    plans = {
        run.experiment.target.name: list(plan(run, stage)) for run, stage in zip(runs, stages, strict=True)
    }
    if form is Answer.JSON:
        write_json({name: [asdict(step) for step in steps] for name, steps in plans.items()})
        return
    for name, steps in plans.items():
        print(f"{name}:", *(f"  {line}" for line in plan_lines(steps)), sep="\n")
