"""What `onepath build` does with a model that another program exported as ONNX, and its options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsl.diagnostic import DiagnosticError
from runtime.cli.common import Answer, CommandError, write_answer

if TYPE_CHECKING:
    from compiler.target import Target
    from dsl.settings import TargetSettings
    from runtime.devices.tracker import RemoteDevice

Threads = Annotated[int | None, typer.Option("--threads", min=1, help="of a .onnx file: threads to use (1)")]
Trials = Annotated[
    int | None,
    typer.Option("--trials", min=0, help="of a .onnx file: schedules tried a kernel; 0 measures nothing"),
]
Budget = Annotated[
    str | None, typer.Option("--budget", help="of a .onnx file: time for tuning, such as '5 min' (60 s)")
]
InputShape = Annotated[
    str | None, typer.Option("--input-shape", help="of a .onnx file: sizes it leaves free, as in 3x48x192")
]
Standalone = Annotated[
    bool,
    typer.Option(
        "--standalone", help="write C, kernels and weights that need no runtime, instead of a bundle"
    ),
]
Name = Annotated[
    str | None,
    typer.Option("--name", help="with --standalone: what its files and functions begin with (onepath)"),
]


@dataclass(frozen=True)
class Options:
    """The options that are about models; None where one was not given."""

    threads: int | None
    trials: int | None
    budget: str | None
    input_shape: str | None

    def refuse(self) -> None:
        """End with a message where one was given, for what is no model.

        Raises:
            CommandError: one was; it says how a .space file says the same.
        """
        setting = "is for .onnx files; for a .space file give --set"
        refuse({"--threads": self.threads}, f"{setting} 'target.threads={self.threads}'")
        refuse({"--trials": self.trials}, f"{setting} 'target.trials={self.trials}'")
        refuse({"--budget": self.budget}, f"{setting} 'target.tune_budget={self.budget}'")
        refuse({"--input-shape": self.input_shape}, "is for .onnx files; a space says its own `input`")


def refuse(options: Mapping[str, object], reason: str) -> None:
    """End with a message where one of these options was given.

    Raises:
        CommandError: one was.
    """
    for name, value in options.items():
        if value is not None:
            raise CommandError(f"{name} {reason}")


def build(
    file: Path,
    out: Path | None,
    target: str | None,
    records: Path | None,
    options: Options,
    name: str | None,
    form: Answer,
    device: RemoteDevice | None = None,
) -> None:
    """Build a model's bundle, or with the `name` of its functions its standalone form, and print what came of it."""
    from runtime.console import Console
    from runtime.model_build import BUDGET_S, Tuning, answer, build_model
    from runtime.standalone_build import answer_model, build_standalone_model

    settings = _settings(target, options)
    resolved = _resolved(settings, measured=options.trials != 0, remote=device is not None)
    folder, sizes = out or Path("runs") / file.stem, _sizes(options.input_shape)
    budget_s = BUDGET_S if settings.tune_budget is None else settings.tune_budget
    if name is not None:
        tuning = Tuning(options.trials, budget_s, records, device)
        made = build_standalone_model(file, resolved, folder, name, sizes, tuning, Console())
        write_answer(answer_model(*made), form)
        return
    built = build_model(
        file,
        resolved,
        folder,
        trials=options.trials,
        budget_s=budget_s,
        input_sizes=sizes,
        records=records,
        progress=Console(),
        device=device,
    )
    write_answer(answer(built), form)


def _resolved(settings: TargetSettings, *, measured: bool, remote: bool) -> Target:
    """The target, which this machine must be able to run where it is `measured` here and not on a `remote` device."""
    from runtime.targets import here, measurable, resolve

    if not measured:
        return resolve(settings)
    return measurable(settings) if remote else here(settings)


def standalone_name(standalone: bool, name: str | None) -> str | None:
    """What the functions of the standalone form begin with; None where a bundle is asked for.

    Raises:
        CommandError: a name is given for a bundle, or is none.
    """
    if not standalone:
        refuse({"--name": name}, "is for --standalone")
        return None
    from compiler.codegen.c_names import BadName, check_name
    from runtime.standalone import NAME

    try:
        return check_name(NAME if name is None else name)
    except BadName as problem:
        raise CommandError(f"--name: {problem}") from None


def _settings(target: str | None, options: Options) -> TargetSettings:
    from runtime.experiment import host_settings

    budget = None if options.budget is None else _time(options.budget)
    try:
        return host_settings(target, threads=options.threads, tune_budget=budget)
    except DiagnosticError as problem:
        given = f"--threads {options.threads}" if options.threads is not None else f"--budget '{budget}'"
        raise CommandError(f"{given}: {problem.diagnostics[0].message}") from None


def _time(text: str) -> str:
    """A time as the language writes it.

    Raises:
        CommandError: it is no number with a unit, or not more than nothing; the language's own words would point into
            a file that there is not.
    """
    from dsl.suggest import listed
    from dsl.units import UNITS

    match = re.fullmatch(r"\s*(-?)\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text)
    if match is None or match[3] not in UNITS["time"]:
        units = listed([f"`{unit}`" for unit in UNITS["time"]])
        raise CommandError(
            f"--budget '{text}' is no time; write a number and {units}, as in '90 s' or '5 min'"
        )
    if match[1] or not float(match[2]):
        raise CommandError(f"--budget '{text}': a budget is more than 0 s; write it as in '90 s' or '5 min'")
    return f"{match[2]} {match[3]}"


def _sizes(text: str | None) -> tuple[int, ...] | None:
    """The sizes in `3x48x192`."""
    if text is None:
        return None
    if not re.fullmatch(r"[1-9]\d{0,6}(x[1-9]\d{0,6}){0,2}", text):
        raise CommandError(f"--input-shape {text}: write channels, height and width, as in 3x48x192")
    return tuple(map(int, text.split("x")))
