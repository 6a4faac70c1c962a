"""Diagnostics as SARIF 2.1.0, the form that code hosts and editors read.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0,
https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from dsl.codes import CODES
from dsl.diagnostic import Diagnostic, Note
from dsl.source import Span

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_sarif(diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    """A log of one run; its rules are the codes found, explained. Columns are code points from 1."""
    codes = sorted({each.code for each in diagnostics})
    run = {
        "tool": {"driver": _driver(codes)},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, codes.index(each.code)) for each in diagnostics],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _driver(codes: Sequence[str]) -> dict[str, Any]:
    from importlib.metadata import version

    return {"name": "onepath", "version": version("onepath"), "rules": [_rule(code) for code in codes]}


def _rule(code: str) -> dict[str, Any]:
    row = CODES[code]
    return {
        "id": code,
        "shortDescription": {"text": row.title},
        "fullDescription": {"text": row.explanation},
        "help": {"text": f"{row.text()}\n", "markdown": f"{row.markdown()}\n"},
        "defaultConfiguration": {"level": "error" if code.startswith("E") else "warning"},
    }


def _result(diagnostic: Diagnostic, rule: int) -> dict[str, Any]:
    hint = f"\nhint: {diagnostic.hint}" if diagnostic.hint else ""
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": diagnostic.severity,
        "message": {"text": f"{diagnostic.message}{hint}"},
        "locations": [{"physicalLocation": _place(diagnostic.span)}],
    }
    if diagnostic.notes:
        result["relatedLocations"] = [_related(index, note) for index, note in enumerate(diagnostic.notes)]
    return result


def _related(index: int, note: Note) -> dict[str, Any]:
    return {"id": index, "message": {"text": note.message}, "physicalLocation": _place(note.span)}


def _place(span: Span) -> dict[str, Any]:
    region = {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }
    return {"artifactLocation": {"uri": _uri(span.source.name)}, "region": region}


def _uri(name: str) -> str:
    """A path as a URI: relative as it was given, absolute as `file:`."""
    from urllib.parse import quote

    path = PurePath(name)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
