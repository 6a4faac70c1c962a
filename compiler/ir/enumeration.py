"""Looking at every assignment of the decisions that a value depends on, within bounds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping

from compiler.ir.expression import (
    Assignment,
    Choice,
    Literal,
    Value,
    ValueProblem,
    choices_of,
    evaluate,
    is_symbolic,
    terms_of,
)

ENUMERATION_CAP = 4096
"""Joint assignments looked at when a property must hold under all of them."""

_WORK_CAP = 400_000


def assignments(choices: Mapping[str, Choice], cap: int = ENUMERATION_CAP) -> Iterator[dict[str, Literal]]:
    """Every joint assignment of `choices`, in a stable order.

    Raises:
        ValueProblem: there are more than `cap`.
    """
    if math.prod(len(choice.options) for choice in choices.values()) > cap:
        raise ValueProblem(f"it depends on more than {cap:,} combinations of {_few(list(choices))}")
    for options in itertools.product(*[choice.options for choice in choices.values()]):
        yield dict(zip(choices, options, strict=True))


def _few(paths: list[str]) -> str:
    return (
        ", ".join(paths)
        if len(paths) <= 4
        else f"{', '.join(paths[:3])} and {len(paths) - 3} other decisions"
    )


def settle(value: Value, cap: int = 256) -> Value:
    """`value` as a literal if it is the same under every assignment (looked at up to `cap` of them)."""
    if not is_symbolic(value):
        return value
    choices = choices_of(value)
    if math.prod(len(choice.options) for choice in choices.values()) > _affordable(cap, value):
        return value
    values = (evaluate(value, assignment) for assignment in assignments(choices))
    first = next(values)
    return first if all(each == first for each in values) else value


def _affordable(cap: int, value: Value) -> int:
    """How many assignments of a value's decisions may be looked at: fewer where it is long."""
    return min(cap, _WORK_CAP // terms_of(value))


def counterexample(condition: Value) -> Assignment | None:
    """An assignment under which `condition` is false, or None if it always holds."""
    for assignment in assignments(choices_of(condition), _affordable(ENUMERATION_CAP, condition)):
        if not evaluate(condition, assignment):
            return assignment
    return None
