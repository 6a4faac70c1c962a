"""Where what an operator or a selection is given stands in the file, for what is said when it does not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from compiler.ir.types import TensorType
from compiler.lower.scope import Context, Meaning, Problem
from dsl import syntax
from dsl.diagnostic import Note
from dsl.source import Span

_MOST_NOTES = 6


@dataclass(frozen=True)
class Origins:
    """Where an operator's operands and attributes stand; `hint` is what to do where operands do not agree.

    An operand that was made before the operator has no place of its own: None.
    """

    operands: Sequence[Span | None] = ()
    attributes: Mapping[str, Span] = field(default_factory=dict)
    hint: str | None = None

    def misfit(self, message: str, span: Span, types: Sequence[TensorType]) -> Problem:
        """An operator at `span` that cannot stand there, with the types of the operands that are written out."""
        places = zip(self.operands, types, strict=False)
        notes = [Note(f"this gives {type_}", place) for place, type_ in places if place is not None]
        return Problem("E0320", message, span, self.hint, tuple(notes[:_MOST_NOTES]))


NOWHERE = Origins()
"""Of an operator that is written without operands and attributes."""


@dataclass(frozen=True)
class Arm:
    """One candidate of a selection: what lowers it, where it stands, and what a message says it does."""

    lower: Callable[[Context], Meaning]
    span: Span
    gives: str

    def note(self, type_: TensorType) -> Note:
        """What the candidate gives, where it stands."""
        return Note(f"{self.gives} {type_}", self.span)


def result_place(body: syntax.Body) -> Span:
    """Where to point for what a body gives: the whole of it on one line, else its last step."""
    if body.result is None or body.span.line == body.span.end_line:
        return body.span
    return body.result.steps[-1].span
