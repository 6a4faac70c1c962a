"""Commands about a file: check, fmt, explain. They import neither torch, tvm nor networkx."""

from __future__ import annotations

import difflib
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.common import NO, CommandError, SpaceFile, command, read_source


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
    """Check a .space file: every error of it in one run, each with its place and a way out.

    Example: onepath check examples/quickstart.space
    """
    from compiler.frontend import analyse
    from dsl.diagnostic import has_errors
    from dsl.render import render, summary, wants_colour

    _, found = analyse(read_source(file))
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
    """Rewrite .space files in the house format; comments stay, the meaning too.

    Example: onepath fmt --diff examples/quickstart.space
    """
    changed = [path for path in files if _format(path, check, diff)]
    if changed and check:
        for path in changed:
            print(f"would change {path}", file=sys.stderr)
        raise typer.Exit(NO)


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
        from runtime.files import write_atomic

        write_atomic(path, formatted)
    return formatted != source.text


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
