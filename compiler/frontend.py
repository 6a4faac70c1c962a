"""From a source to everything that can be said of it: the static checks, then lowering every space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compiler.ir.graph import SpaceGraph
from compiler.ir.ops import MERGES, OPERATORS
from compiler.lower import lower_all, space_named
from compiler.lower.prelude import with_prelude
from dsl import syntax
from dsl.check import check
from dsl.diagnostic import Diagnostic, DiagnosticError, has_errors, in_order
from dsl.modules import Read, link
from dsl.parser import parse
from dsl.reading import read
from dsl.signature import Parameter, Signature
from dsl.source import Source, Span

SIGNATURES: Mapping[str, Signature] = {
    name: Signature(
        name,
        (*map(Parameter, operator.tensors), *[Parameter(a.name, a.required) for a in operator.attributes]),
    )
    for name, operator in OPERATORS.items()
    if name not in MERGES
}
"""The steps of the language that are operators, as the checks see them."""


def read_used(path: str) -> Source:
    """The source of a file that another one uses; paths are relative to the main file's name."""
    return read(Path(path))


@dataclass(frozen=True)
class Analysis:
    """What a source says: its tree with the files it uses, None where it cannot be read, the graphs of its spaces,
    and every diagnostic, in the order of the text.
    """

    file: syntax.File | None
    graphs: Mapping[str, SpaceGraph]
    diagnostics: list[Diagnostic]

    def sound(self) -> syntax.File:
        """The tree, if nothing is wrong with it.

        Raises:
            DiagnosticError: it has errors; it carries every diagnostic.
        """
        if self.file is None or has_errors(self.diagnostics):
            raise DiagnosticError(self.diagnostics)
        return self.file

    def space(self, name: str | None = None) -> SpaceGraph:
        """The graph of the space of this name, of the only one where `name` is None.

        Raises:
            DiagnosticError: the source has errors, or no such space.
        """
        return self.graphs[space_named(self.sound(), name).name]


def examine(source: Source, read_file: Read = read_used) -> Analysis:
    """All that can be said of a source."""
    file, spelling = parse(source)
    if file is None:
        return Analysis(None, {}, spelling)
    file, missing = link(file, read_file)
    file = with_prelude(file)
    spelling = [*spelling, *missing]
    found = [*spelling, *check(file, SIGNATURES, spelling)]
    graphs: Mapping[str, SpaceGraph] = {}
    if not has_errors(spelling):
        graphs, problems = lower_all(file)
        found += [each for each in problems if not _said(each, found)]
    return Analysis(file, graphs, in_order(found))


def analyse(source: Source, read_file: Read = read_used) -> tuple[syntax.File | None, list[Diagnostic]]:
    """The tree of a source and every diagnostic: `examine` for those who need no graph."""
    analysis = examine(source, read_file)
    return analysis.file, analysis.diagnostics


def _said(diagnostic: Diagnostic, found: list[Diagnostic]) -> bool:
    """Whether a static check found something at the same place already."""
    return any(other.severity == "error" and _overlap(other.span, diagnostic.span) for other in found)


def _overlap(one: Span, other: Span) -> bool:
    return one.source is other.source and one.start < other.end and other.start < one.end


def sound(source: Source) -> syntax.File:
    """The tree of a source without errors.

    Raises:
        DiagnosticError: it has errors; it carries every diagnostic.
    """
    return examine(source).sound()


def space_of(source: Source, name: str | None = None) -> SpaceGraph:
    """The graph of a space of a source, of the only one where `name` is None.

    Raises:
        DiagnosticError: the source has errors, or no such space.
    """
    return examine(source).space(name)
