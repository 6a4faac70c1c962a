"""Values of the language: literals, functions and decisions between values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from compiler.ir.expression import (
    Literal,
    Scalar,
    Value,
    ValueProblem,
    apply,
    is_symbolic,
    kind_of,
    normal,
    show,
)
from compiler.lower.scope import Function, Meaning, Poison, Poisoned, Problem, Tensor
from dsl.source import Span

FUNCTIONS = {"min": 2, "max": 2, "divisible": 2}
"""Functions that may be called by name, with the least number of arguments they take."""

OPTIONS_CAP = 1024
"""The most options one decision may have."""


def attempt(span: Span, function: Callable[[], Value]) -> Value:
    """What `function` gives; a problem of a value becomes one of the file, at `span`."""
    try:
        return function()
    except ValueProblem as problem:
        raise Problem("E0301", str(problem), span) from None


def as_tensor(meaning: Meaning, span: Span) -> Tensor:
    """A meaning that must be a tensor."""
    if isinstance(meaning, Poison):
        raise Poisoned
    if not isinstance(meaning, Tensor):
        what = f"`{meaning.name}`" if isinstance(meaning, Function) else "a value"
        raise Problem("E0317", f"{what} stands where a tensor is expected", span)
    return meaning


def as_value(meaning: Meaning, span: Span) -> Value:
    """A meaning that must be a value.

    Raises:
        Problem: it is a tensor or a reference.
        Poisoned: its mistake was reported already.
    """
    if isinstance(meaning, Poison):
        raise Poisoned
    if isinstance(meaning, Tensor):
        raise Problem("E0302", "a tensor stands where a value is expected", span)
    if isinstance(meaning, Function):
        raise Problem("E0302", f"`{meaning.name}` is a block or an operator, not a value", span)
    return meaning


def as_constant(meaning: Meaning, span: Span, what: str) -> Literal:
    """A value that must not depend on a decision."""
    value = as_value(meaning, span)
    if is_symbolic(value):
        raise Problem("E0303", f"{what} depends on a decision, and must be a constant here", span)
    return value  # type: ignore[return-value]


def as_count(meaning: Meaning, span: Span, what: str, cap: int) -> int:
    """A constant that must be an integer from 1 to `cap`."""
    value = as_constant(meaning, span, what)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= cap:
        raise Problem("E0304", f"{what} is {show(value)}, and must be an integer from 1 to {cap:,}", span)
    return value


def call_function(name: str, arguments: Sequence[Value], span: Span) -> Value:
    """`min(…)`, `max(…)` of two or more, `divisible(value, divisor)`."""
    least = FUNCTIONS[name]
    if len(arguments) < least or (name == "divisible" and len(arguments) > least):
        code = "E0121" if len(arguments) < least else "E0123"
        raise Problem(code, f"`{name}` takes {least} arguments, not {len(arguments)}", span)
    result = arguments[0]
    for argument in arguments[1:]:
        previous = result
        result = attempt(span, lambda previous=previous, argument=argument: apply(name, previous, argument))  # type: ignore[misc]
    return result


def spread(start: Literal, stop: Literal, step: Literal, span: Span) -> list[Scalar]:
    """The options of `start..stop step step`; both ends are included and the range must land on the end."""
    if any(kind_of(value) is not int for value in (start, stop, step)):
        raise Problem("E0306", "a range needs numbers", span)
    first, last, stride = (Fraction(value) for value in (start, stop, step))  # type: ignore[arg-type]
    if stride <= 0 or last < first:
        raise Problem("E0306", f"the range {show(start)}..{show(stop)} step {show(step)} is empty", span)
    count = (last - first) / stride
    if count.denominator != 1:
        raise Problem("E0306", f"steps of {show(step)} from {show(start)} do not land on {show(stop)}", span)
    if count >= OPTIONS_CAP:
        raise Problem("E0307", f"more than {OPTIONS_CAP:,} options", span)
    return [normal(first + index * stride) for index in range(int(count) + 1)]  # type: ignore[misc]


def distinct(options: list[Scalar], span: Span) -> list[Scalar]:
    """The options of a decision between values.

    Raises:
        Problem: they are not distinct constants of one kind, or too many.
    """
    if len({kind_of(option) for option in options}) > 1:
        raise Problem("E0308", "the options of a decision must be of one kind", span)
    if len(set(options)) < len(options):
        twice = next(option for option in options if options.count(option) > 1)
        raise Problem("E0308", f"the option {show(twice)} stands twice", span)
    if len(options) > OPTIONS_CAP:
        raise Problem("E0307", f"more than {OPTIONS_CAP:,} options", span)
    return options
