"""Values of the language: literals, functions and decisions between values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from compiler.ir.enumeration import assignments
from compiler.ir.expression import (
    Literal,
    Scalar,
    Value,
    ValueProblem,
    apply,
    choices_of,
    evaluate,
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
        raise _no_tensor(meaning, span)
    return meaning


def _no_tensor(meaning: Value | Function, span: Span) -> Problem:
    if isinstance(meaning, Function):
        message = f"`{meaning.name}` is a block or an operator, not a tensor"
        return Problem("E0317", message, span, f"to apply it, write `in -> {meaning.name}`")
    return Problem("E0317", f"`{show(meaning)}` is a value, not a tensor", span)


def as_value(meaning: Meaning, span: Span) -> Value:
    """A meaning that must be a value.

    Raises:
        Problem: it is a tensor or a reference.
        Poisoned: its mistake was reported already.
    """
    if isinstance(meaning, Poison):
        raise Poisoned
    if isinstance(meaning, Tensor):
        message = f"a tensor, {meaning.type}, stands where a value is expected"
        raise Problem("E0302", message, span, "its sizes are values: `.channels`, `.height` and the like")
    if isinstance(meaning, Function):
        raise Problem("E0302", f"`{meaning.name}` is a block or an operator, not a value", span)
    return meaning


def as_constant(meaning: Meaning, span: Span, what: str, hint: str | None = None) -> Literal:
    """A value that must not depend on a decision; `hint` is what to do where it does."""
    value = as_value(meaning, span)
    if is_symbolic(value):
        raise Problem("E0303", f"{what} depends on a decision, and must be a constant here", span, hint)
    return value  # type: ignore[return-value]


def as_count(meaning: Meaning, span: Span, what: str, cap: int) -> int:
    """A constant that must be an integer from 1 to `cap`."""
    value = as_constant(meaning, span, what)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= cap:
        raise Problem("E0304", f"{what} is {show(value)}, and must be an integer from 1 to {cap:,}", span)
    return value


def demand_set(value: Value, span: Span) -> None:
    """Demand what `contains` can be asked of.

    Raises:
        Problem: the value is no set.
    """
    literals = [value] if not is_symbolic(value) else attempt_each(value, span)
    strange = next((each for each in literals if not isinstance(each, tuple)), None)
    if strange is not None:
        message = f"`contains` asks whether something is in a set, and this is {show(strange)}"
        raise Problem(
            "E0328", message, span, "`choose 1..2 of (1..4)` is a set; to compare values write `==`"
        )


def attempt_each(value: Value, span: Span) -> list[Literal]:
    """What a value is under some assignment of the decisions that it depends on, each once.

    Raises:
        Problem: it has no value under one of them, or there are too many.
    """
    try:
        return list(dict.fromkeys(evaluate(value, each) for each in assignments(choices_of(value))))
    except ValueProblem as problem:
        raise Problem("E0301", str(problem), span) from None


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
        raise Problem(
            "E0306",
            f"steps of {show(step)} from {show(start)} do not land on {show(stop)}",
            span,
            _landing(first, last, stride),
        )
    if count >= OPTIONS_CAP:
        raise Problem("E0307", f"more than {OPTIONS_CAP:,} options", span)
    return [normal(first + index * stride) for index in range(int(count) + 1)]  # type: ignore[misc]


def _landing(first: Fraction, last: Fraction, stride: Fraction) -> str:
    """The ends nearest to the one that the steps miss, so that both ends of a range are options."""
    below = first + (last - first) // stride * stride
    start, step = show(normal(first)), show(normal(stride))
    ends = " or ".join(f"`{start}..{show(normal(end))} step {step}`" for end in (below, below + stride))
    return f"both ends are options: write {ends}"


def distinct(options: list[Scalar], span: Span) -> list[Scalar]:
    """The options of a decision between values.

    Raises:
        Problem: they are not distinct constants of one kind, or too many.
    """
    other = next((each for each in options if kind_of(each) is not kind_of(options[0])), None)
    if other is not None:
        message = f"the options of a decision are of one kind, not `{show(options[0])}` and `{show(other)}`"
        raise Problem("E0308", message, span)
    if len(set(options)) < len(options):
        twice = next(option for option in options if options.count(option) > 1)
        raise Problem("E0308", f"the option {show(twice)} stands twice", span, "leave out one of them")
    if len(options) > OPTIONS_CAP:
        raise Problem("E0307", f"more than {OPTIONS_CAP:,} options", span)
    return options
