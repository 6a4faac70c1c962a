"""The attributes of a call: defaults filled in, each checked against its kind."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.ir.enumeration import assignments
from compiler.ir.expression import Literal, Value, choices_of, evaluate, is_symbolic, show
from compiler.ir.ops.operator import Attribute, Operator, TypeProblem

SIZE_CAP = 1_000_000
"""The largest dimension or attribute: bounds what a hostile file can ask for."""

KINDS: Mapping[str, str] = {
    "size": f"an integer from 1 to {SIZE_CAP:,}",
    "count": f"an integer from 0 to {SIZE_CAP:,}",
    "ratio": "a number from 0 to 1",
    "factor": f"a number above 0, at most {SIZE_CAP:,}",
    "flag": "true or false",
}
"""What a value of each kind must be."""


class AttributeProblem(TypeProblem):
    """An attribute whose value is not of its kind; `attribute` is its name."""

    def __init__(self, attribute: str, message: str) -> None:
        super().__init__(message)
        self.attribute = attribute


def complete(operator: Operator, given: Mapping[str, Value]) -> dict[str, Value]:
    """All attributes of a call, in the table's order, defaults filled in and each checked against its kind.

    An attribute that has neither a value nor a default is left out.

    Raises:
        TypeProblem: one is missing, or cannot be worked out.
        AttributeProblem: one is not of its kind.
    """
    attributes: dict[str, Value] = {}
    for attribute in operator.attributes:
        value = given.get(attribute.name, attribute.default)
        if value is None and attribute.required:
            raise TypeProblem(f"`{operator.name}` needs `{attribute.name}`")
        if value is not None:
            _check_kind(operator, attribute, value)
        elif attribute.compute is not None:
            value = attribute.compute(operator.name, {**given, **attributes})
        if value is not None and not _goes_without_saying(attribute, value, attributes):
            attributes[attribute.name] = value
    return attributes


def _goes_without_saying(attribute: Attribute, value: Value, attributes: Mapping[str, Value]) -> bool:
    """Whether leaving the attribute out says the same."""
    if attribute.unlike:
        return attributes[attribute.unlike] == value
    return attribute.kind == "flag" and attribute.default is None and value is False


def _check_kind(operator: Operator, attribute: Attribute, value: Value) -> None:
    for literal in _literals(value):
        if not _fits(attribute, literal):
            what = f"`{attribute.name}` of `{operator.name}`"
            message = f"{what} is {show(literal)}, and must be {KINDS[attribute.kind]}"
            raise AttributeProblem(attribute.name, message)


def _fits(attribute: Attribute, literal: Literal) -> bool:
    if attribute.kind == "flag":
        return isinstance(literal, bool)
    if isinstance(literal, bool | str | tuple):
        return False
    if attribute.kind == "ratio":
        return 0 <= literal <= 1
    if attribute.kind == "factor":
        return 0 < literal <= SIZE_CAP
    return isinstance(literal, int) and (1 if attribute.kind == "size" else 0) <= literal <= SIZE_CAP


def _literals(value: Value) -> list[Literal]:
    if not is_symbolic(value):
        return [value]  # type: ignore[list-item]
    return sorted({evaluate(value, assignment) for assignment in assignments(choices_of(value))}, key=str)
