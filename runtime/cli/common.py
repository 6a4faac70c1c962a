"""What every command shares: exit codes, errors without tracebacks, answers as text or JSON."""

from __future__ import annotations

import functools
import json
import os
import select
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer

from dsl.diagnostic import DiagnosticError
from dsl.render import render, wants_colour
from runtime.text_table import field_lines

if TYPE_CHECKING:
    from dsl.source import Source

YES, NO, COULD_NOT = 0, 1, 2
"""Exit codes: the answer is yes; it is no (errors found, a cap not held); the command could not run."""
PIPE_CLOSED = 128 + 13
"""The exit code where the reader of standard output went away: a shell's for the signal SIGPIPE."""


class Answer(StrEnum):
    """The form of an answer."""

    TEXT = "text"
    JSON = "json"


SpaceFile = Annotated[Path, typer.Argument(metavar="FILE", help="a .space file, or - for standard input")]
AnswerFormat = Annotated[Answer, typer.Option("--format", help="text for people, json for programs")]
SpaceName = Annotated[str | None, typer.Option("--space", help="the space, where the file has several")]


class CommandError(Exception):
    """Why a command could not run, in words for the person who ran it; ends with exit code 2."""


def fail(message: str) -> NoReturn:
    """End with a message and exit code 2."""
    print(f"onepath: {message}", file=sys.stderr)
    raise typer.Exit(COULD_NOT)


def could_not(problem: Exception) -> None:
    """Say on standard error why something could not be done."""
    if isinstance(problem, DiagnosticError):
        print(render(problem.diagnostics, "full", wants_colour(sys.stderr)), end="", file=sys.stderr)
    else:
        print(f"onepath: {words(problem)}", file=sys.stderr)


def output_closed() -> bool:
    """Whether nobody reads standard output any more, as behind `| head -1`."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def flush_output() -> None:
    """Write out what is buffered; where nobody reads it any more, end quietly, where it has no room, say so."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        end_quietly()
    except OSError as problem:
        print(f"onepath: standard output: {problem.strerror}", file=sys.stderr)
        end_quietly(COULD_NOT)


def end_quietly(code: int = PIPE_CLOSED) -> NoReturn:
    """End as a program does whose output is closed; what is still buffered goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(code)


P = ParamSpec("P")
R = TypeVar("R")


def command(function: Callable[P, R]) -> Callable[P, R]:
    """A command whose expected failures end in a message and an exit code, never in a traceback."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with reported():
            return function(*args, **kwargs)

    return run


@contextmanager
def reported() -> Iterator[None]:
    """Turn expected failures into messages and exit codes."""
    try:
        yield
    except expected_problems() as problem:
        if isinstance(problem, BrokenPipeError) and output_closed():
            end_quietly()
        could_not(problem)
        no = isinstance(problem, DiagnosticError) or type(problem).__name__ == "InfeasibleCap"
        raise typer.Exit(NO if no else COULD_NOT) from None
    except typer.Exit:
        raise
    except Exception as problem:
        fail(f"a defect of Onepath: {type(problem).__name__}: {problem}; please report {_traceback_file()}")
    except KeyboardInterrupt as stop:
        print(f"onepath: interrupted{f'; {stop}' if stop.args else ''}", file=sys.stderr)
        raise typer.Exit(130) from None


def _traceback_file() -> str:
    """Where the present exception's traceback was written, for a report of the defect."""
    with tempfile.NamedTemporaryFile("w", prefix="onepath-", suffix=".txt", delete=False) as file:
        file.write(traceback.format_exc())
    return file.name


_EXPECTED = (
    ("compiler.architecture", "InvalidArchitecture"),
    ("compiler.caps", "Unsolved"),
    ("compiler.counting", "TooEntangled"),
    ("compiler.ir.text", "NotAGraph"),
    ("compiler.latency", "TableProblem"),
    ("compiler.limits", "CannotTell"),
    ("compiler.passes.flatten", "CannotFlatten"),
    ("compiler.picture.marks", "UnfitProbabilities"),
    ("compiler.codegen.onnx_reader", "OnnxProblem"),
    ("compiler.codegen.schedules.template", "Unsupported"),
    ("runtime.bench_contender", "BenchProblem"),
    ("runtime.checked_bundle", "WrongAnswers"),
    ("dsl.known_targets", "TargetsFileProblem"),
    ("runtime.data.dataset", "DataProblem"),
    ("runtime.device", "UnknownProcessor"),
    ("runtime.devices.tracker", "DeviceProblem"),
    ("runtime.experiment", "NoSuchPart"),
    ("runtime.experiment", "SeveralInputs"),
    ("runtime.files", "FileProblem"),
    ("runtime.linker", "LinkFailed"),
    ("runtime.linker", "NoCompiler"),
    ("runtime.nvrtc", "NoNvrtc"),
    ("runtime.peers", "UnknownPeer"),
    ("runtime.price_kernels", "CannotPrice"),
    ("runtime.rank_messages", "RankProblem"),
    ("runtime.records", "RecordsProblem"),
    ("runtime.search.options", "SearchProblem"),
    ("runtime.targets", "UnsupportedTarget"),
    ("runtime.tensorboard.files", "NoTensorBoard"),
    ("runtime.tune", "NothingMeasured"),
    ("runtime.workers", "WorkerFailed"),
)
"""The failures that the layers below name. They are looked up where they are loaded: no import is paid for them."""


def expected_problems() -> tuple[type[Exception], ...]:
    """The exceptions that are about what a command was given, not defects."""
    modules = sys.modules
    named = tuple(getattr(modules[module], name) for module, name in _EXPECTED if module in modules)
    return (DiagnosticError, OSError, CommandError, *named)


def words(problem: Exception) -> str:
    """An expected failure in words, without the program's name."""
    if isinstance(problem, OSError) and problem.filename is not None:
        return f"{problem.filename}: {problem.strerror}"
    return str(problem)


def read_source(path: Path) -> Source:
    """The source in a file, or from standard input where the path is `-`."""
    from dsl.reading import decode, read

    if str(path) == "-":
        return decode("<stdin>", sys.stdin.buffer.read())
    if path.is_dir():
        raise CommandError(f"{path} is a folder; name a .space file")
    return read(path)


def write_json(payload: Any) -> None:
    """Print an answer as JSON."""
    print(json.dumps(payload, indent=2, ensure_ascii=False))


def write_answer(payload: dict[str, Any], form: Answer) -> None:
    """Print an answer: as JSON, or a name and a value a line."""
    if form is Answer.JSON:
        write_json(payload)
    else:
        print("\n".join(field_lines(payload, _shown)))


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
