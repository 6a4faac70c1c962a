"""Findings as the protocol has them: severity, code, places, second places."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lsprotocol import types

from dsl import syntax
from dsl.codes import CODES
from dsl.diagnostic import Diagnostic, Note
from dsl.parser import parse
from dsl.source import Source, Span
from runtime.lsp.documents import Documents
from runtime.lsp.positions import lines_of

SOURCE = "onepath"
FINDINGS_CAP = 200
"""The most findings that are sent of one text."""
_SEVERITIES = {"error": types.DiagnosticSeverity.Error, "warning": types.DiagnosticSeverity.Warning}
_PAGE = Path(__file__).resolve().parents[2] / "docs" / "diagnostics.md"


def published(documents: Documents, path: str, encoding: str) -> list[types.Diagnostic]:
    """What is wrong with an open text. A finding in a used file stands at the place here that led to it."""
    analysis = documents.analysis(path)
    source = documents.opened[path].source
    return [
        _converted(_brought_home(each, source, analysis.file), documents, encoding)
        for each in analysis.diagnostics[:FINDINGS_CAP]
    ]


def _brought_home(found: Diagnostic, source: Source, file: syntax.File | None) -> Diagnostic:
    """A finding of another file, placed at the call of this file that it was met in, else at its first `use`."""
    if found.span.source is source:
        return found
    there = Note(found.message, found.span)
    here = next((note.span for note in reversed(found.notes) if note.span.source is source), None)
    message = f"in {Path(found.span.source.name).name}: {found.message}"
    notes = (there, *found.notes)
    return Diagnostic(found.code, message, here or _first_use(source), found.hint, notes)


def _first_use(source: Source) -> Span:
    """The first `use` of a text, else its beginning; the linked tree has none left."""
    file, _ = parse(source)
    uses = file.select(syntax.Use) if file is not None else ()
    return uses[0].span if uses else source.span(0, 0)


def _converted(found: Diagnostic, documents: Documents, encoding: str) -> types.Diagnostic:
    hint = f"\n{found.hint}" if found.hint is not None else ""
    return types.Diagnostic(
        range=lines_of(found.span.source, encoding).range(found.span),
        message=found.message + hint,
        severity=_SEVERITIES[found.severity],
        code=found.code,
        code_description=_description(found.code),
        source=SOURCE,
        related_information=_related(found.notes, documents, encoding) or None,
    )


def _related(
    notes: Sequence[Note], documents: Documents, encoding: str
) -> list[types.DiagnosticRelatedInformation]:
    return [
        types.DiagnosticRelatedInformation(location_of(note.span, documents, encoding), note.message)
        for note in notes
    ]


def location_of(span: Span, documents: Documents, encoding: str) -> types.Location:
    """A span in whatever file it is."""
    return types.Location(documents.uri(span.source.name), lines_of(span.source, encoding).range(span))


def _description(code: str) -> types.CodeDescription | None:
    """The code's section of docs/diagnostics.md, where the page is at hand: in a checkout."""
    if code not in CODES or not _PAGE.is_file():
        return None
    # The anchor that a heading gets: lower case, without punctuation, `-` between words.
    anchor = re.sub(r"[^\w -]", "", f"{code}: {CODES[code].title}".lower()).replace(" ", "-")
    return types.CodeDescription(f"{_PAGE.as_uri()}#{anchor}")
