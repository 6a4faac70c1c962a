"""The two texts of a file: canonical, from the tree alone, and formatted, with the writer's comments."""

from __future__ import annotations

from dsl.diagnostic import DiagnosticError, has_errors
from dsl.layout import Layout
from dsl.parser import parse
from dsl.scan import scan
from dsl.source import Source
from dsl.syntax import File


def canonical(file: File) -> str:
    """The canonical text of a tree: equal trees have equal texts, and `parse` gives the tree back."""
    return Layout(keep=False).file(file)


def format_source(source: Source) -> str:
    """A text laid out in the house format: same meaning, same comments, at most 100 columns where words allow.

    Formatting twice is formatting once.

    Raises:
        DiagnosticError: the text has syntax errors.
    """
    file, diagnostics = parse(source)
    if file is None or has_errors(diagnostics):
        raise DiagnosticError(diagnostics)
    return Layout(keep=True, comments=scan(source).comments).file(file)
