"""From a source to everything that can be said of it: the static checks, then lowering every space."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.ir.graph import SpaceGraph
from compiler.ir.ops import MERGES, OPERATORS
from compiler.lower import check_spaces, lower
from dsl import syntax
from dsl.check import check
from dsl.diagnostic import Diagnostic, DiagnosticError, has_errors, in_order
from dsl.parser import parse
from dsl.signature import Parameter, Signature
from dsl.source import Source

SIGNATURES: Mapping[str, Signature] = {
    name: Signature(name, tuple(Parameter(a.name, a.required) for a in operator.attributes))
    for name, operator in OPERATORS.items()
    if name not in MERGES
}
"""The steps of the language that are operators, as the checks see them."""


def analyse(source: Source) -> tuple[syntax.File | None, list[Diagnostic]]:
    """The tree of a source, None where it cannot be read, and every diagnostic, in the order of the text."""
    file, spelling = parse(source)
    if file is None:
        return None, spelling
    found = [*spelling, *check(file, SIGNATURES, spelling)]
    if not has_errors(spelling):
        found += [each for each in check_spaces(file) if not _said(each, found)]
    return file, in_order(found)


def _said(diagnostic: Diagnostic, found: list[Diagnostic]) -> bool:
    """Whether a static check found something at the same place already."""
    span = diagnostic.span
    return any(
        other.severity == "error" and other.span.start < span.end and span.start < other.span.end
        for other in found
    )


def sound(source: Source) -> syntax.File:
    """The tree of a source without errors.

    Raises:
        DiagnosticError: it has errors; it carries every diagnostic.
    """
    file, found = analyse(source)
    if file is None or has_errors(found):
        raise DiagnosticError(found)
    return file


def space_of(source: Source, name: str | None = None) -> SpaceGraph:
    """The graph of a space of a source, of the only one where `name` is None.

    Raises:
        DiagnosticError: the source has errors, or no such space.
    """
    return lower(sound(source), name)
