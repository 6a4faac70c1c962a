"""An architecture as a flat vector of integers, for predictors, and back.

Two forms, with one column after the other for every decision of the space, in the order of the file:
- `index`: one column a decision: the number of its choice among the options, -1 where it does not exist;
- `one_hot`: one column an option: 1 for the choice, all 0 where the decision does not exist. Of a decision on a
  set the columns are the members it is picked from, and several are 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal as OneOf

from compiler.architecture import Architecture, InvalidArchitecture
from compiler.ir.expression import Literal, Scalar, show
from compiler.ir.graph import Decision, SpaceGraph
from compiler.reach import reach

Form = OneOf["index", "one_hot"]
ABSENT = -1
"""The index of a decision that does not exist."""


@dataclass(frozen=True)
class Encoding:
    """The vectors of one space."""

    space: SpaceGraph
    form: Form = "index"

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The name of each column: the decision's path, for `one_hot` with the option behind a `=`."""
        if self.form == "index":
            return tuple(decision.path for decision in self.space.decisions)
        return tuple(
            f"{decision.path}={show(member)}"
            for decision in self.space.decisions
            for member in _members(decision)
        )

    def encode(self, architecture: Architecture) -> list[int]:
        """The vector of an architecture of the space, validated before."""
        choices = architecture.choices
        return [
            column
            for decision in self.space.decisions
            for column in self._columns_of(decision, choices.get(decision.path))
        ]

    def _columns_of(self, decision: Decision, choice: Literal | None) -> list[int]:
        if self.form == "index":
            return [ABSENT if choice is None else decision.options.index(choice)]
        chosen = () if choice is None else choice if isinstance(choice, tuple) else (choice,)
        return [int(member in chosen) for member in _members(decision)]

    def decode(self, vector: Sequence[int]) -> Architecture:
        """The architecture of a vector: that of `encode`.

        Raises:
            InvalidArchitecture: it has another length, names no option, or says something of a decision that
                does not exist under the others.
        """
        if len(vector) != len(self.columns):
            message = f"a vector of {len(vector)} numbers; one of `{self.space.name}` has {len(self.columns)}"
            raise InvalidArchitecture(message)
        given = self._split(vector)
        choices = reach(self.space.graph, lambda decision: self._choice(decision, given[decision.path]))
        found = Architecture(self.space.name, choices)
        strange = next(
            (
                i
                for i, (one, other) in enumerate(zip(self.encode(found), vector, strict=True))
                if one != other
            ),
            None,
        )
        if strange is not None:
            message = f"`{self.columns[strange]}` is {vector[strange]}: this decision does not exist under the others"
            raise InvalidArchitecture(message)
        return found

    def _split(self, vector: Sequence[int]) -> dict[str, Sequence[int]]:
        """The columns of each decision."""
        parts, at = {}, 0
        for decision in self.space.decisions:
            width = 1 if self.form == "index" else len(_members(decision))
            parts[decision.path] = vector[at : at + width]
            at += width
        return parts

    def _choice(self, decision: Decision, columns: Sequence[int]) -> Literal:
        if self.form == "index":
            if not 0 <= columns[0] < len(decision.options):
                message = (
                    f"`{decision.path}` is {columns[0]}, and must be from 0 to {len(decision.options) - 1}"
                )
                raise InvalidArchitecture(message)
            return decision.options[columns[0]]
        picked = tuple(
            member for member, column in zip(_members(decision), columns, strict=True) if column == 1
        )
        choice = picked if _is_set(decision) else picked[0] if len(picked) == 1 else None
        if choice not in decision.options or any(column not in (0, 1) for column in columns):
            raise InvalidArchitecture(
                f"`{decision.path}`: the columns {list(columns)} stand for none of its options"
            )
        return choice


def _is_set(decision: Decision) -> bool:
    return isinstance(decision.options[0], tuple)


def _members(decision: Decision) -> tuple[Scalar, ...]:
    """The options of a decision; of one on a set the members, in the order in which they are first picked."""
    found: dict[Scalar, None] = {}
    for option in decision.options:
        found.update(dict.fromkeys(option if isinstance(option, tuple) else (option,)))
    return tuple(found)
