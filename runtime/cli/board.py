"""The command for TensorBoard: tensorboard."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.cli.common import CommandError, command

if TYPE_CHECKING:
    from runtime.stages import Run


def shown_in(board: Path | None, run: Run) -> AbstractContextManager[None]:
    """What the run logs goes to TensorBoard, too, where a folder for that is named."""
    if board is None:
        return nullcontext()
    from runtime.tensorboard.follow import followed

    return followed(run.folder.path, board, run.progress.note)


@command
def tensorboard(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder, finished or not")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="the folder for the event files; default RUN/tensorboard"),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="go on with what is logged, until interrupted")
    ] = False,
) -> None:
    """Write what a run's search and training logged as event files, which TensorBoard shows.

    Each call writes the whole log anew, so that no point is there twice. `onepath run --tensorboard DIR` writes
    them while it runs.

    Example: onepath tensorboard runs/quickstart --out boards/quickstart
    """
    from runtime.tensorboard.follow import convert, followed

    if not run.is_dir():
        raise CommandError(f"{run} is no run folder")
    folder = out or run / "tensorboard"
    typer.echo(f"onepath: look at it with: tensorboard --logdir {folder}", err=True)
    if follow:
        with followed(run, folder, lambda text: typer.echo(f"onepath: {text}", err=True)):
            _until_interrupted()
    count = convert(run, folder)
    if not count:
        raise CommandError(f"{run} has logged no search and no training yet; --follow waits for them")
    print(f"{count} events in {folder}")


def _until_interrupted() -> None:
    threading.Event().wait()
