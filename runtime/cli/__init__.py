"""The command line: `onepath`. Heavy libraries are imported by the commands that need them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from runtime.cli import (
    architectures,
    board,
    bundles,
    costs,
    devices,
    editor,
    experiments,
    language,
    machine,
    pictures,
    records,
    spaces,
    tables,
    targets,
)
from runtime.cli.common import flush_output

app = typer.Typer(
    name="onepath",
    help="Compile a search space into a network that was searched for, trained and tuned for one device.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"onepath {version('onepath')}")
        raise typer.Exit


@app.callback()
def _onepath(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="the version")
    ] = False,
) -> None:
    """Commands answer with exit code 0 (yes), 1 (no: errors found, a cap not held) or 2 (could not run)."""


_COMMANDS: tuple[Callable[..., None], ...] = (
    language.check,
    language.fmt,
    language.explain,
    pictures.show,
    spaces.count,
    costs.cost,
    spaces.sample,
    experiments.run,
    *experiments.STAGE_COMMANDS,
    board.tensorboard,
    machine.doctor,
    editor.lsp,
)
for function in _COMMANDS:
    app.command()(function)
app.add_typer(architectures.app, name="arch")
app.add_typer(bundles.app, name="bundle")
app.add_typer(devices.app, name="device")
app.add_typer(records.app, name="records")
app.add_typer(tables.app, name="table")
app.add_typer(targets.app, name="targets")


def main() -> None:
    """Run the command line; a defect of ours says so, and where."""
    if sys.stdout is None:  # closed by whoever started this
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        app()
    finally:
        flush_output()
