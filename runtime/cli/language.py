"""Commands about a file: check, fmt, explain. They import neither torch, tvm nor networkx."""

from __future__ import annotations

import difflib
import stat
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dsl.diagnostic import DiagnosticError
from runtime.cli.common import (
    COULD_NOT,
    NO,
    CommandError,
    SpaceFile,
    command,
    could_not,
    expected_problems,
    read_source,
)


class Report(StrEnum):
    """The form of diagnostics."""

    FULL = "full"
    CONCISE = "concise"
    JSON = "json"


@command
def check(
    file: SpaceFile,
    form: Annotated[Report, typer.Option("--format", help="how findings are printed")] = Report.FULL,
) -> None:
    """Check a .space file, or standard input (-): every error of it in one run, each with its place and a way out.

    Example: onepath check examples/quickstart.space
    """
    from compiler.frontend import analyse
    from dsl.diagnostic import has_errors
    from dsl.render import render, summary, wants_colour

    try:
        found = analyse(read_source(file))[1]
    except DiagnosticError as unreadable:
        found = list(unreadable.diagnostics)
    print(render(found, form.value, wants_colour(sys.stdout)), end="")
    if form is Report.FULL:
        print(summary(found) or f"{file}: no errors")
    if has_errors(found):
        raise typer.Exit(NO)


@command
def fmt(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="files, or - for standard input")],
    check: Annotated[
        bool, typer.Option("--check", help="write nothing; exit 1 if a file would change")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="write nothing; print what would change")] = False,
) -> None:
    """Rewrite .space files in the house format; comments stay, the meaning too. - reads standard input and prints.

    A file that cannot be read, or has syntax errors, is reported and left; the others are done, and the exit
    code is 2.

    Example: onepath fmt --diff examples/quickstart.space
    """
    codes = [_format_and_report(path, check, diff) for path in files]
    if any(codes):
        raise typer.Exit(max(codes))


def _format_and_report(path: Path, check: bool, diff: bool) -> int:
    """The exit code of one file."""
    try:
        changed = _format(path, check, diff)
    except BrokenPipeError:
        raise
    except expected_problems() as problem:
        could_not(problem)
        return COULD_NOT
    if changed and check:
        print(f"would change {path}", file=sys.stderr)
        return NO
    return 0


def _format(path: Path, check: bool, diff: bool) -> bool:
    """Whether the file changes; writes it unless told otherwise."""
    from dsl.format import format_source

    source = read_source(path)
    formatted = format_source(source)
    if diff:
        before, after = (text.splitlines(keepends=True) for text in (source.text, formatted))
        sys.stdout.writelines(difflib.unified_diff(before, after, str(path), str(path)))
    elif str(path) == "-" and not check:
        print(formatted, end="")
    elif formatted != source.text and not check:
        _replace(path.resolve(), formatted)
    return formatted != source.text


def _replace(path: Path, text: str) -> None:
    """Write the file anew with the mode it has, whatever the umask is."""
    from runtime.files import write_atomic

    mode = stat.S_IMODE(path.stat().st_mode)
    write_atomic(path, text, mode)
    path.chmod(mode)


@command
def explain(
    code: Annotated[str, typer.Argument(metavar="CODE", help="the code of a diagnostic, as E0120")],
) -> None:
    """Explain a diagnostic: what it means, a wrong program and the right one.

    Example: onepath explain E0120
    """
    from dsl.codes import CODES
    from dsl.suggest import did_you_mean

    entry = CODES.get(code.upper())
    if entry is None:
        raise CommandError(
            f"no diagnostic has the code {code}; {did_you_mean(code.upper(), CODES) or 'E0001 is one'}"
        )
    print(entry.text())
