"""Commands about a file: check, fmt, explain. They import neither torch, tvm nor networkx."""

from __future__ import annotations

import difflib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsl.diagnostic import DiagnosticError
from runtime.cli.common import (
    COULD_NOT,
    NO,
    CommandError,
    command,
    could_not,
    expected_problems,
    read_source,
)

if TYPE_CHECKING:
    from dsl.diagnostic import Diagnostic

STANDARD_INPUT = "-"


class Report(StrEnum):
    """The form of diagnostics."""

    FULL = "full"
    CONCISE = "concise"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


class Color(StrEnum):
    """Whether output is coloured."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


SpaceFiles = Annotated[
    list[Path],
    typer.Argument(metavar="FILE…", help=".space files, folders to look for them in, - for standard input"),
]


@command
def check(
    files: SpaceFiles,
    form: Annotated[
        Report,
        typer.Option("--format", help="how findings are printed; sarif and github are for code hosts"),
    ] = Report.FULL,
    color: Annotated[
        Color, typer.Option(help="auto colours terminals, and heeds NO_COLOR and FORCE_COLOR")
    ] = Color.AUTO,
) -> None:
    """Check .space files: every error of each in one run, with its place and a way out.

    The exit code is 0 without errors, 1 with some, 2 where a file could not be read.

    Example: onepath check examples/quickstart.space
    """
    from dsl.diagnostic import has_errors, in_order
    from dsl.render import render, summary

    paths = list(_space_files(files))
    findings = [_findings(path) for path in paths]
    found = in_order(each for one in findings for each in one or ())
    print(render(found, form.value, _coloured(color)), end="")
    if form is Report.FULL and None not in findings:
        print(summary(found) or f"{paths[0] if len(paths) == 1 else f'{len(paths)} files'}: no errors")
    if None in findings:
        raise typer.Exit(COULD_NOT)
    if has_errors(found):
        raise typer.Exit(NO)


def _findings(path: Path) -> Sequence[Diagnostic] | None:
    """What is wrong with a file; None where it could not be read, which is said."""
    from compiler.frontend import examine
    from dsl.diagnostic import has_errors, in_order

    try:
        analysis = examine(read_source(path))
        found = analysis.diagnostics
        if analysis.file is None or has_errors(found):
            return found
        from runtime.check_targets import target_problems

        return in_order([*found, *target_problems(analysis.file)])
    except DiagnosticError as no_text:
        return no_text.diagnostics
    except BrokenPipeError:
        raise
    except expected_problems() as problem:
        could_not(problem)
        return None


def _coloured(color: Color) -> bool:
    from dsl.render import wants_colour

    return color is Color.ALWAYS or (color is Color.AUTO and wants_colour(sys.stdout))


def _space_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as they are given, and for each folder the .space files below it; hidden folders are left out."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        below = sorted(_below(path))
        if not below:
            raise CommandError(f"{path} has no .space file in it")
        yield from below


def _below(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(here, name) for name in names if name.endswith(".space"))


@command
def fmt(
    files: SpaceFiles,
    check: Annotated[
        bool, typer.Option("--check", help="write nothing; exit 1 if a file would change")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="write nothing; print what would change")] = False,
) -> None:
    """Rewrite .space files in the house format; comments stay, the meaning too. - reads standard input and prints.

    A file that cannot be read, or has syntax errors, is reported and left; the others are done, and the exit
    code is 2. What --diff prints, `patch -p0` applies.

    Example: onepath fmt --diff examples/quickstart.space
    """
    codes = [_format_and_report(path, check, diff) for path in _space_files(files)]
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
        print(f"would change {_named(path)}", file=sys.stderr)
        return NO
    return 0


def _named(path: Path) -> str:
    return "<stdin>" if str(path) == STANDARD_INPUT else str(path)


def _format(path: Path, check: bool, diff: bool) -> bool:
    """Whether the file changes; writes it unless told otherwise."""
    from dsl.format import format_source
    from dsl.reading import decode

    data = _read(path)
    formatted = format_source(decode(_named(path), data))
    # Bytes are compared: a byte order mark is no part of the text, and the house format has none.
    changed = formatted.encode() != data
    if diff:
        print(_difference(data.decode(), formatted, _named(path)), end="")
    elif str(path) == STANDARD_INPUT and not check:
        print(formatted, end="")
    elif changed and not check:
        _replace(path.resolve(), formatted)
    return changed


def _read(path: Path) -> bytes:
    """A file's bytes, no more than tell that it is too large."""
    from dsl.limits import MAXIMUM_BYTES

    if str(path) == STANDARD_INPUT:
        return sys.stdin.buffer.read(MAXIMUM_BYTES + 1)
    with path.open("rb") as file:
        return file.read(MAXIMUM_BYTES + 1)


def _difference(before: str, after: str, name: str) -> str:
    """A unified diff that `patch` applies, also where the last line has no end."""
    shown = f"{name}\t" if " " in name else name
    lines = difflib.unified_diff(_lines(before), _lines(after), shown, shown)
    return "".join(
        each if each.endswith("\n") else f"{each}\n\\ No newline at end of file\n" for each in lines
    )


def _lines(text: str) -> list[str]:
    """Lines with their ends; `splitlines` would end them at other characters too."""
    return [f"{line}\n" for line in text.split("\n")[:-1]] + [last for last in text.split("\n")[-1:] if last]


def _replace(path: Path, text: str) -> None:
    """Write the file anew with the mode it has, whatever the umask is."""
    from runtime.files import write_atomic

    mode = stat.S_IMODE(path.stat().st_mode)
    write_atomic(path, text, mode)
    path.chmod(mode)


@command
def explain(
    codes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CODE…]", help="codes of diagnostics, as E0120; none lists all"),
    ] = None,
) -> None:
    """Explain a diagnostic: what it means, a wrong program, what is said of it, and the right one.

    Example: onepath explain E0120
    """
    from compiler.explain import said
    from dsl.codes import CODES

    if not codes:
        print("\n".join(f"{row.code}  {row.title}" for row in CODES.values()))
        return
    rows = [CODES[_known(code)] for code in codes]
    print("\n\n".join(row.text(said(row)) for row in rows))


def _known(code: str) -> str:
    from dsl.codes import CODES
    from dsl.suggest import did_you_mean

    if code.upper() in CODES:
        return code.upper()
    near = did_you_mean(code.upper(), CODES) or "`onepath explain` lists them"
    raise CommandError(f"no diagnostic has the code {code}; {near}")
