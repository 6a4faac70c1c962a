"""Diagnostics: what is wrong with a text, where, and what to do; `dsl.render` draws them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from dsl.source import Span


@dataclass(frozen=True, slots=True)
class Note:
    """A second place that a diagnostic points to: where a name was bound first, where a brace was opened."""

    message: str
    span: Span


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `code` is a row of `dsl.codes`: `E0101` is an error, `W0101` a warning."""

    code: str
    message: str
    span: Span
    hint: str | None = None
    notes: tuple[Note, ...] = ()

    @property
    def severity(self) -> Literal["error", "warning"]:
        return "error" if self.code.startswith("E") else "warning"

    def __str__(self) -> str:
        return f"{self.span}: {self.severity}[{self.code}]: {self.message}"


class DiagnosticError(Exception):
    """Raised where a value cannot be made from a text; carries every diagnostic found until then."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(each) for each in self.diagnostics))


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether one of them is an error rather than a warning."""
    return any(each.severity == "error" for each in diagnostics)


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Sorted by place, without repetitions: the order in which they are shown."""
    unique = {(each.span.source.name, each.span.start, each.code, each.message): each for each in diagnostics}
    return [unique[key] for key in sorted(unique)]
