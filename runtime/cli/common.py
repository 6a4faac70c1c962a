"""What every command shares: exit codes, errors without tracebacks, answers as text or JSON."""

from __future__ import annotations

import functools
import json
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

if TYPE_CHECKING:
    from dsl.source import Source

YES, NO, COULD_NOT = 0, 1, 2
"""Exit codes: the answer is yes; it is no (errors found, a cap not held); the command could not run."""


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
    except DiagnosticError as problem:
        print(render(problem.diagnostics, "full", wants_colour(sys.stderr)), end="", file=sys.stderr)
        raise typer.Exit(NO) from None
    except _expected() as problem:
        if type(problem).__name__ == "InfeasibleCap":
            print(f"onepath: {problem}", file=sys.stderr)
            raise typer.Exit(NO) from None
        fail(_words(problem))
    except typer.Exit:
        raise
    except Exception as problem:
        fail(f"a defect of Onepath: {type(problem).__name__}: {problem}; please report {_traceback_file()}")
    except KeyboardInterrupt:
        print("onepath: interrupted; what was finished is kept, the same command goes on", file=sys.stderr)
        raise typer.Exit(130) from None


def _traceback_file() -> str:
    """Where the present exception's traceback was written, for a report of the defect."""
    with tempfile.NamedTemporaryFile("w", prefix="onepath-", suffix=".txt", delete=False) as file:
        file.write(traceback.format_exc())
    return file.name


_EXPECTED = (
    ("compiler.architecture", "InvalidArchitecture"),
    ("compiler.counting", "TooEntangled"),
    ("compiler.ir.text", "NotAGraph"),
    ("compiler.latency", "TableProblem"),
    ("compiler.passes.flatten", "CannotFlatten"),
    ("compiler.codegen.schedules.template", "Unsupported"),
    ("runtime.assemble", "WrongAnswers"),
    ("runtime.bench_contender", "BenchProblem"),
    ("runtime.data.dataset", "DataProblem"),
    ("runtime.device", "UnknownProcessor"),
    ("runtime.experiment", "NoSuchPart"),
    ("runtime.files", "FileProblem"),
    ("runtime.profiler", "CannotPrice"),
    ("runtime.records", "RecordsProblem"),
    ("runtime.search.options", "SearchProblem"),
    ("runtime.targets", "UnsupportedTarget"),
    ("runtime.tune", "NothingMeasured"),
    ("runtime.workers", "WorkerFailed"),
)
"""The failures that the layers below name. They are looked up where they are loaded: no import is paid for them."""


def _expected() -> tuple[type[Exception], ...]:
    modules = sys.modules
    named = tuple(getattr(modules[module], name) for module, name in _EXPECTED if module in modules)
    return (OSError, CommandError, *named)


def _words(problem: Exception) -> str:
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
