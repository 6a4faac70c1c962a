"""Commands that run the pipeline: run, and one for each stage that runs it up to there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.cli import bench as benches
from runtime.cli import models, specialise
from runtime.cli.board import shown_in
from runtime.cli.common import (
    NO,
    Answer,
    AnswerFormat,
    SpaceFile,
    SpaceName,
    command,
    read_source,
    write_answer,
    write_json,
)
from runtime.cli.devices import TRACKER, Device, TrackerAddress, remote

if TYPE_CHECKING:
    from runtime.devices.tracker import RemoteDevice
    from runtime.stages import Run

Out = Annotated[Path | None, typer.Option("--out", help="the run folder; default runs/<name of the file>")]
TargetName = Annotated[str | None, typer.Option("--target", help="the target; default the cap's, else host")]
SearchName = Annotated[str | None, typer.Option("--search", help="the search, where the file has several")]
Override = Annotated[
    list[str] | None,
    typer.Option("--set", help="replace a setting: epochs=2, 'train.budget=60 s'"),
]
Front = Annotated[
    int | None,
    typer.Option(
        "--front", metavar="N", min=1, help="give up to N networks along the front of score and cost"
    ),
]
Given = Annotated[Path | None, typer.Option("--arch", help="an architecture file, instead of searching")]
RecordsFile = Annotated[
    Path | None, typer.Option("--records", help="the records database; default one per user")
]
Board = Annotated[
    Path | None,
    typer.Option("--tensorboard", metavar="DIR", help="write TensorBoard's event files there meanwhile"),
]
Resume = Annotated[
    bool, typer.Option("--resume/--restart", help="go on where it stopped, or do this stage anew")
]


def open_run(
    file: Path,
    out: Path | None,
    target: str | None,
    search: str | None,
    space: str | None,
    overrides: list[str] | None,
    given: Path | None,
    records: Path | None,
    device: RemoteDevice | None = None,
) -> Run:
    """The run that a command's options describe."""
    from runtime.console import Console
    from runtime.experiment import load_experiment
    from runtime.run_folder import RunFolder
    from runtime.stages import Run

    source = read_source(file)
    experiment = load_experiment(source, search=search, space=space, target=target, overrides=overrides or ())
    stem = experiment.space.name if str(file) == "-" else file.stem
    return Run(experiment, RunFolder(out or Path("runs") / stem), Console(), records, given, device=device)


def _settings(overrides: list[str] | None, front: int | None, arch: Path | None) -> list[str]:
    """The settings that options replace."""
    if front is None:
        return overrides or []
    models.refuse({"--front": None if arch is None else front}, "needs a search, and --arch takes its place")
    return [*(overrides or []), f"search.front={front}"]


def _go(run: Run, until: str, force: bool, form: Answer, board: Path | None = None) -> None:
    """Run up to a stage, print its answer, and end with 1 where the network breaks a limit.

    Of several processes the first prints.
    """
    from runtime.answers import answer
    from runtime.pipeline import run_until

    with shown_in(board if run.ranks.first else None, run):
        run_until(run, until, force)
    if not run.ranks.first:
        return
    payload = answer(run, until)
    if until == "report":
        payload |= _layers(run, form)
    write_answer(payload, form)
    if until != "profile":
        _end_where_broken(run)


def _end_where_broken(run: Run) -> None:
    """Say which limits the network breaks, and end with 1 where there are any."""
    from runtime.answers import broken_limits

    broken = broken_limits(run)
    for message in broken:
        typer.echo(f"onepath: {message}", err=True)
    if broken:
        raise typer.Exit(NO)


def _layers(run: Run, form: Answer) -> dict[str, object]:
    """The network layer by layer: printed as a table over the answer, or part of it in JSON."""
    from runtime.assemble import summary
    from runtime.report.summary import summary_lines

    found = summary(run)
    if form is Answer.JSON:
        return {"layers": found.describe()}
    print("\n".join([*summary_lines(found), ""]))
    return {}


@command
def run(
    file: SpaceFile,
    out: Out = None,
    target: TargetName = None,
    search: SearchName = None,
    space: SpaceName = None,
    overrides: Override = None,
    front: Front = None,
    arch: Given = None,
    records: RecordsFile = None,
    device: Device = None,
    tracker: TrackerAddress = TRACKER,
    board: Board = None,
    targets: specialise.Targets = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the plan and do nothing")] = False,
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """Run the whole pipeline into one folder: profile, search, derive, train, export, tune, build, bench, report.

    A stage whose inputs did not change is skipped; one that was interrupted goes on where it stopped. At the end
    stands the network layer by layer: what was chosen, its latency by the table, MACs and parameters. With --targets
    there is a run for each, as far as it goes, and at the end each network on each target.

    Example: onepath run examples/quickstart.space --set 'train.budget=60 s'

    Example: onepath run mobile.space --targets host,pixel1 --out runs/mobile-targets
    """
    overrides = _settings(overrides, front, arch)
    if targets is not None:
        models.refuse({"--target": target, "--arch": arch, "--device": device}, "does not go with --targets")
        names = specialise.target_names(targets)
        folder, runs = specialise.open_runs(file, names, out, search, space, overrides, records)
        specialise.run_targets(folder, runs, None, board, dry_run, form)
        return
    this = open_run(file, out, target, search, space, overrides, arch, records, remote(device, tracker))
    if dry_run:
        _print_plan(this, form)
    else:
        _go(this, "report", False, form, board)


def _print_plan(run: Run, form: Answer) -> None:
    from dataclasses import asdict

    from runtime.pipeline import plan, plan_lines

    steps = list(plan(run))
    if form is Answer.JSON:
        write_json([asdict(step) for step in steps])
        return
    print("\n".join(plan_lines(steps)))


STAGE_HELP = {
    "profile": """Time the tuned kernels of every candidate on the target and fit the latency model: a latency table.

    Example: onepath profile examples/quickstart.space --target host""",
    "derive": """Make the network of an architecture: network.graph, and network.py, which needs only torch.

    Example: onepath derive examples/quickstart.space --arch architecture.json --out runs/mine""",
    "train": """Train the derived network by the file's recipe.

    Example: onepath train examples/quickstart.space --set train.epochs=2""",
    "export": """Write the trained network as ONNX, batch norm folded.

    Example: onepath export examples/quickstart.space""",
    "tune": """Tune the kernels of the network found further; every measurement goes into the records.

    Example: onepath tune examples/quickstart.space --set 'target.tune_budget=5 min'""",
}
"""The stages that are commands of the same options, with their help."""


def stage_command(stage: str) -> Callable[..., None]:
    """The command that runs the pipeline up to `stage`; all of them take the same options."""

    @command
    def run_to_stage(
        file: SpaceFile,
        out: Out = None,
        target: TargetName = None,
        search: SearchName = None,
        space: SpaceName = None,
        overrides: Override = None,
        arch: Given = None,
        records: RecordsFile = None,
        device: Device = None,
        tracker: TrackerAddress = TRACKER,
        board: Board = None,
        resume: Resume = True,
        form: AnswerFormat = Answer.TEXT,
    ) -> None:
        run = open_run(file, out, target, search, space, overrides, arch, records, remote(device, tracker))
        _go(run, stage, not resume, form, board)

    run_to_stage.__name__ = stage
    run_to_stage.__doc__ = STAGE_HELP[stage]
    return run_to_stage


@command
def search(
    file: SpaceFile,
    out: Out = None,
    target: TargetName = None,
    search: SearchName = None,
    space: SpaceName = None,
    overrides: Override = None,
    front: Front = None,
    arch: Given = None,
    records: RecordsFile = None,
    device: Device = None,
    tracker: TrackerAddress = TRACKER,
    board: Board = None,
    targets: specialise.Targets = None,
    resume: Resume = True,
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """Search the space for the best network under the cap; ends with 1 where the result breaks it.

    With --front there are more networks, cheaper ones and better ones, of which none is beaten by another. With
    --targets there is a search for each, and at the end each network on each target.

    Example: onepath search examples/quickstart.space --set 'latency <= 1 ms on host'

    Example: onepath search examples/quickstart.space --front 5
    """
    overrides = _settings(overrides, front, arch)
    if targets is None:
        _go(
            open_run(file, out, target, search, space, overrides, arch, records, remote(device, tracker)),
            "search",
            not resume,
            form,
            board,
        )
        return
    anew = None if resume else True
    single = {"--target": target, "--arch": arch, "--device": device, "--restart": anew}
    models.refuse(single, "does not go with --targets")
    names = specialise.target_names(targets)
    folder, runs = specialise.open_runs(file, names, out, search, space, overrides, records)
    specialise.run_targets(folder, runs, "derive", board, False, form)


@command
def build(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a .space file, -, or a .onnx file")],
    out: Out = None,
    target: TargetName = None,
    search: SearchName = None,
    space: SpaceName = None,
    overrides: Override = None,
    arch: Given = None,
    records: RecordsFile = None,
    device: Device = None,
    tracker: TrackerAddress = TRACKER,
    resume: Resume = True,
    threads: models.Threads = None,
    trials: models.Trials = None,
    budget: models.Budget = None,
    input_shape: models.InputShape = None,
    standalone: models.Standalone = False,
    name: models.Name = None,
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """Compile a network into a bundle: model.so, manifest.json, a runner, TVM's two runtime libraries.

    The network is the one that a .space file leads to, or a model that another program exported as ONNX. With
    --standalone it becomes C, an object file and weights instead, which any C compiler links and nothing else needs.

    Example: onepath build examples/quickstart.space

    Example: onepath build model.onnx --trials 0

    Example: onepath build model.onnx --trials 0 --standalone --target riscv64
    """
    prefix = models.standalone_name(standalone, name)
    of_spaces = {"--search": search, "--space": space, "--set": overrides, "--arch": arch}
    options = models.Options(threads, trials, budget, input_shape)
    if file.suffix.lower() == ".onnx":
        models.refuse(
            of_spaces | {"--restart": None if resume else True},
            "is for .space files, and this is a .onnx file",
        )
        models.build(file, out, target, records, options, prefix, form, remote(device, tracker))
        return
    options.refuse()
    this = open_run(file, out, target, search, space, overrides, arch, records, remote(device, tracker))
    if prefix is None:
        _go(this, "build", not resume, form)
    else:
        _build_standalone(this, prefix, form)


def _build_standalone(run: Run, name: str, form: Answer) -> None:
    """Bring a run up to its kernels' tuning, and write the standalone form of its network; end as `_go` does.

    It is written anew each time, as with --restart.
    """
    from runtime.standalone_build import build_standalone_run

    made = build_standalone_run(run, name)
    if made is not None:
        write_answer(made.describe(), form)
        _end_where_broken(run)


@command
def bench(
    file: Annotated[
        Path, typer.Argument(metavar="FILE|BUNDLE", help="a .space file, -, or a bundle's folder")
    ],
    out: Out = None,
    target: TargetName = None,
    search: SearchName = None,
    space: SpaceName = None,
    overrides: Override = None,
    arch: Given = None,
    records: RecordsFile = None,
    device: Device = None,
    tracker: TrackerAddress = TRACKER,
    resume: Resume = True,
    peers: benches.Peers = False,
    peer: benches.OnlyPeer = None,
    threads: benches.Threads = None,
    cores: benches.Cores = None,
    model: benches.Model = None,
    seconds: benches.Seconds = None,
    save: benches.Save = None,
    kernels: benches.Kernels = False,
    table: benches.Table = None,
    sort: benches.Sort = None,
    plot: benches.Plot = None,
    trust: benches.Trust = False,
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """Measure the bundle: latency, kernels, accuracy, peers, prediction against measurement.

    Of a .space file the bundle is built first, where it is not yet. A bundle by itself is timed beside other
    runtimes on the same cores (--peers), or kernel by kernel against the machine's limits (--kernels).

    Example: onepath bench examples/quickstart.space --restart

    Example: onepath bench runs/quickstart/bundle --peers

    Example: onepath bench runs/quickstart/bundle --kernels --sort share --plot roofline.svg
    """
    options = benches.Options(
        peers, peer, threads, cores, model, seconds, save, kernels, table, sort, plot, trust
    )
    if file.is_dir():
        of_spaces: dict[str, object] = {
            "--out": out,
            "--target": target,
            "--search": search,
            "--space": space,
        }
        of_spaces |= {"--set": overrides, "--arch": arch, "--records": records}
        models.refuse(
            of_spaces | {"--restart": None if resume else True},
            "is for .space files, and this is a folder",
        )
        benches.bench_folder(file, options, form, remote(device, tracker))
    else:
        benches.refuse_for_file(file, options)
        _go(
            open_run(file, out, target, search, space, overrides, arch, records, remote(device, tracker)),
            "bench",
            not resume,
            form,
        )


STAGE_COMMANDS: tuple[Callable[..., None], ...] = (
    stage_command("profile"),
    search,
    *map(stage_command, ("derive", "train", "export", "tune")),
    build,
    bench,
)
"""In the order of the pipeline."""
