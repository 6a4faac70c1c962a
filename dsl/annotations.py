"""Diagnostics as GitHub's workflow commands: each becomes an annotation in the lines that a pull request shows.

Source: GitHub, "Workflow commands for GitHub Actions", and the escapes of its toolkit
(github.com/actions/toolkit, packages/core/src/command.ts).
"""

from __future__ import annotations

from dsl.diagnostic import Diagnostic

_IN_MESSAGES = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTIES = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def as_annotation(diagnostic: Diagnostic) -> str:
    """One workflow command, without its line end. Columns stand only where the place is within one line."""
    span = diagnostic.span
    properties = {"file": span.source.name, "line": span.line, "endLine": span.end_line}
    if span.line == span.end_line:
        properties |= {"col": span.column, "endColumn": span.end_column}
    properties["title"] = diagnostic.code
    listed = ",".join(f"{key}={str(value).translate(_IN_PROPERTIES)}" for key, value in properties.items())
    return f"::{diagnostic.severity} {listed}::{_message(diagnostic).translate(_IN_MESSAGES)}"


def _message(diagnostic: Diagnostic) -> str:
    """The message, the second places and the hint: an annotation has no other room for them."""
    notes = [f"{note.span}: {note.message}" for note in diagnostic.notes]
    hint = [f"hint: {diagnostic.hint}"] if diagnostic.hint else []
    return "\n".join([diagnostic.message, *notes, *hint])
