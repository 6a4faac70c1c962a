"""What Onepath says of the example of a diagnostic code: the explanations and their page, always as it speaks now."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from compiler.frontend import analyse
from compiler.lower import lower
from dsl.code import NAME, Code, Program, encoded
from dsl.codes import CODES
from dsl.diagnostic import Diagnostic, DiagnosticError, has_errors
from dsl.modules import Read
from dsl.reading import decode
from dsl.render import render
from dsl.source import Source


def findings(row: Code, program: Program) -> list[Diagnostic]:
    """What is found in a program of a row, by `onepath check` or by what asks for its one space."""
    try:
        file, found = analyse(decode(NAME, encoded(program)), _reader(row.beside))
        if row.asked and file is not None and not has_errors(found):
            lower(file)
    except DiagnosticError as error:
        return list(error.diagnostics)
    return found


def _reader(texts: Mapping[str, str]) -> Read:
    def read(path: str) -> Source:
        if path not in texts:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return Source(path, texts[path])

    return read


def said(row: Code) -> str:
    """What is said of a row's wrong program."""
    return render(findings(row, row.wrong)).rstrip("\n")


def markdown() -> str:
    """The whole of docs/diagnostics.md."""
    head = (
        "# Diagnostics\n\n"
        "Every code that Onepath's front end gives: what it means, a program that gives it, what is said of that\n"
        "program, and the program put right. `onepath explain CODE` prints one of them, `onepath explain` lists them.\n"
        "Codes that start with `E` are errors, those with `W` warnings. A code keeps its meaning; the number of one\n"
        "that is no longer given is not used again. This page is written from the table in `dsl/codes.py`."
    )
    return "\n\n".join([head, *(row.markdown(said(row)) for row in CODES.values())]) + "\n"
