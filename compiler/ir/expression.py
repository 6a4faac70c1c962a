"""Exact values and expressions over decisions.

An attribute or a dimension is a literal or an `Expression` over value decisions, so that an elastic
width reaches the next layer's channels without being enumerated. Arithmetic is exact: integers and
`Fraction`s, never floats. Expressions are built through `apply`, which folds constants, so two equal
constants are always the same Python value.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

TERMS_CAP = 1000
"""Terms of an expression over decisions: a few lines that double a value would make it longer than memory is."""

Scalar = int | Fraction | bool | str
"""A constant of the language; a `str` is the label of a path or the name of an operator."""

Literal = Scalar | tuple[Scalar, ...]
"""A scalar, or a set of them as `choose 2 of …` picks it: distinct, in the order in which they are written."""

Assignment = Mapping[str, Literal]
"""A choice for each decision that matters, by the decision's path."""


class ValueProblem(ValueError):
    """A value that cannot be: a division by zero, a size that is no integer, types that do not mix."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The value of one decision: its path and the options it is drawn from."""

    path: str
    options: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Apply:
    """A function of the language applied to literals and expressions, at least one of them not literal.

    `terms` is how many functions and decisions stand in it, written out: what evaluating it costs. `table` says
    that an `if` is part of a table of values, in which every decision is always read.
    """

    function: str
    arguments: tuple[Value, ...]
    table: bool = field(default=False, compare=False, repr=False)
    terms: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", 1 + sum(map(terms_of, self.arguments)))


Expression = Choice | Apply
Value = Literal | Expression


def terms_of(value: object) -> int:
    """How many functions and decisions stand in a value."""
    return value.terms if isinstance(value, Apply) else 1


def is_symbolic(value: object) -> bool:
    """True for what still depends on a decision."""
    return isinstance(value, Choice | Apply)


def kind_of(value: Literal) -> type:
    """What a literal is: `bool`, `str`, `tuple`, or `int` for any number."""
    return _KINDS.get(type(value), int)


_KINDS: Mapping[type, type] = {bool: bool, str: str, tuple: tuple}


def normal(value: Literal) -> Literal:
    """The one representation of a literal: a whole `Fraction` becomes an `int`."""
    if isinstance(value, Fraction) and value.denominator == 1:
        return int(value)
    return value


def _number(value: Literal) -> int | Fraction:
    if kind_of(value) is not int:
        raise ValueProblem(f"`{show(value)}` is not a number")
    return value  # type: ignore[return-value]


def _boolean(value: Literal) -> bool:
    if not isinstance(value, bool):
        raise ValueProblem(f"`{show(value)}` is not true or false")
    return value


def _arithmetic(function: Callable[..., Literal]) -> Callable[..., Literal]:
    def exact(*arguments: Literal) -> Literal:
        for argument in arguments:
            # Asked first, since nearly all numbers are integers, and this is where evaluation spends its time.
            if type(argument) is not int:
                _number(argument)
        try:
            return normal(function(*arguments))
        except ZeroDivisionError:
            raise ValueProblem("division by zero") from None

    return exact


def _same_kind(left: Literal, right: Literal) -> None:
    if kind_of(left) is not kind_of(right):
        raise ValueProblem(f"`{show(left)}` and `{show(right)}` cannot be compared")


def _equal(left: Literal, right: Literal) -> bool:
    _same_kind(left, right)
    return left == right


def _contains(members: Literal, member: Literal) -> bool:
    if not isinstance(members, tuple):
        raise ValueProblem(f"`{show(members)}` is not a set: only `choose … of (…)` makes one")
    if isinstance(member, tuple):
        raise ValueProblem(f"`{show(member)}` is a set, and no member of one")
    if members:
        _same_kind(members[0], member)
    return member in members


def divisible(value: int | Fraction, divisor: int | Fraction) -> Literal:
    """The multiple of `divisor` nearest to `value`, at least `divisor`, never below 90% of `value`.

    The rounding of channel numbers of MobileNetV2's public code (`_make_divisible`).
    """
    if divisor <= 0:
        raise ValueProblem("`divisible` needs a positive divisor")
    rounded = max(divisor, (value + Fraction(divisor) / 2) // divisor * divisor)
    return rounded + divisor if rounded < Fraction(9, 10) * value else rounded


FUNCTIONS: dict[str, Callable[..., Literal]] = {
    "+": _arithmetic(operator.add),
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(lambda a, b: Fraction(a) / Fraction(b)),
    "//": _arithmetic(operator.floordiv),
    "%": _arithmetic(operator.mod),
    "neg": _arithmetic(operator.neg),
    "min": _arithmetic(min),
    "max": _arithmetic(max),
    "divisible": _arithmetic(divisible),
    "==": _equal,
    "!=": lambda a, b: not _equal(a, b),
    "<": lambda a, b: _number(a) < _number(b),
    "<=": lambda a, b: _number(a) <= _number(b),
    ">": lambda a, b: _number(a) > _number(b),
    ">=": lambda a, b: _number(a) >= _number(b),
    "contains": _contains,
    "and": lambda a, b: _boolean(a) and _boolean(b),
    "or": lambda a, b: _boolean(a) or _boolean(b),
    "not": lambda a: not _boolean(a),
    "if": lambda c, a, b: a if _boolean(c) else b,
}
"""Every function of the language, on literals."""

_DIGITS_CAP = 10**30


def apply(function: str, *arguments: Value) -> Value:
    """`function` of `arguments`, folded where all are literal.

    Raises:
        ValueProblem: the arguments are of the wrong kind, or the result is out of bounds.
    """
    integral = _INTEGRAL.get(function)
    if integral is not None and type(arguments[0]) is int and type(arguments[1]) is int:
        return _bounded(integral(*arguments))
    if any(is_symbolic(argument) for argument in arguments):
        if function == "if" and not is_symbolic(arguments[0]):
            return arguments[1] if arguments[0] is True else arguments[2]
        return _without_neutral(function, arguments)
    return _bounded(FUNCTIONS[function](*arguments))


def _bounded(result: Literal) -> Literal:
    if kind_of(result) is int and not -_DIGITS_CAP <= result <= _DIGITS_CAP:  # type: ignore[operator]
        raise ValueProblem("a number of more than 30 digits")
    return result


_INTEGRAL: Mapping[str, Callable[..., Literal]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "==": operator.eq,
    "<=": operator.le,
    ">=": operator.ge,
}
"""Functions that need no check on two integers: most of what lowering a space computes."""


_NEUTRAL = {"+": 0, "-": 0, "*": 1, "/": 1}


def _without_neutral(function: str, arguments: tuple[Value, ...]) -> Value:
    """`x + 0`, `1 * x` and the like are `x`, so that equal sizes stay equal expressions."""
    if function in _NEUTRAL and len(arguments) == 2:
        left, right = arguments
        if type(right) is int and right == _NEUTRAL[function] and _is_number(left):
            return left
        if function in "+*" and type(left) is int and left == _NEUTRAL[function] and _is_number(right):
            return right
    applied = Apply(function, tuple(arguments))
    if applied.terms > _TABLE_FROM and function in _NUMERIC:
        applied = _tabulated(applied)
    if applied.terms > TERMS_CAP:
        raise ValueProblem(f"a value that depends on decisions in more than {TERMS_CAP} terms")
    return applied


def _is_number(value: Value) -> bool:
    """Whether an expression may be a number: what is true or false stays under its function, which refuses it."""
    if isinstance(value, Choice):
        return kind_of(value.options[0]) is int
    if not isinstance(value, Apply):
        return kind_of(value) is int
    if value.function == "if":
        return all(map(_is_number, value.arguments[1:]))
    return value.function in _NUMERIC


_NUMERIC = frozenset({"+", "-", "*", "/", "//", "%", "neg", "min", "max", "divisible"})
_TABLE_FROM, _TABLE_MOST = 100, 32


def _tabulated(value: Apply) -> Apply:
    """A long value of few decisions as a table of what it is under each assignment; else the value itself.

    A value that may leave a decision unread stays: the decision may not exist where it is not read.
    """
    choices = choices_of(value)
    if math.prod(len(choice.options) for choice in choices.values()) > _TABLE_MOST or _leaves_unread(value):
        return value
    try:
        found = _table(value, list(choices.values()), {})
    except ValueProblem:
        return value
    return found if isinstance(found, Apply) and found.terms < value.terms else value


def _table(value: Apply, choices: list[Choice], known: dict[str, Literal]) -> Value:
    if not choices:
        return evaluate(value, known)
    first, *rest = choices
    *others, last = [(option, _table(value, rest, {**known, first.path: option})) for option in first.options]
    result = last[1]
    for option, part in reversed(others):
        result = (
            part if part == result else Apply("if", (Apply("==", (first, option)), part, result), table=True)
        )
    return result


def _leaves_unread(value: Value) -> bool:
    if not isinstance(value, Apply):
        return False
    unread = value.function in _DECIDING and not value.table
    return unread or any(map(_leaves_unread, value.arguments))


def both(left: Value, right: Value) -> Value:
    """`left and right`, where a constant true is no condition."""
    if left is True:
        return right
    return left if right is True else apply("and", left, right)


def evaluate(value: Value, assignment: Assignment) -> Literal:
    """The literal that `value` is under `assignment`.

    Raises:
        KeyError: a decision of the expression has no choice.
        ValueProblem: the expression has no value there.
    """
    kind = type(value)
    if kind is Choice:
        return assignment[value.path]  # type: ignore[union-attr]
    if kind is not Apply:
        return value  # type: ignore[return-value]
    function, arguments = value.function, value.arguments  # type: ignore[union-attr]
    deciding = _DECIDING.get(function)
    if deciding is not None:
        return deciding(arguments, assignment)
    return FUNCTIONS[function](*[evaluate(argument, assignment) for argument in arguments])


def _evaluate_and(arguments: tuple[Value, ...], assignment: Assignment) -> Literal:
    left = _boolean(evaluate(arguments[0], assignment))
    return left and _boolean(evaluate(arguments[1], assignment))


def _evaluate_or(arguments: tuple[Value, ...], assignment: Assignment) -> Literal:
    left = _boolean(evaluate(arguments[0], assignment))
    return left or _boolean(evaluate(arguments[1], assignment))


def _evaluate_if(arguments: tuple[Value, ...], assignment: Assignment) -> Literal:
    return evaluate(arguments[1 if _boolean(evaluate(arguments[0], assignment)) else 2], assignment)


_DECIDING = {"and": _evaluate_and, "or": _evaluate_or, "if": _evaluate_if}
"""Functions that leave an argument unread: what stands behind a false condition may have no value."""


def choices_of(*values: object) -> dict[str, Choice]:
    """The decisions that `values` depend on, by path, in the order they are met."""
    found: dict[str, Choice] = {}
    for value in values:
        if isinstance(value, Choice):
            found.setdefault(value.path, value)
        elif isinstance(value, Apply):
            found.update(choices_of(*value.arguments))
    return found


_TIGHTNESS = {
    "or": 1,
    "and": 2,
    "not": 3,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "contains"), 4),
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "//": 6,
    "%": 6,
    "neg": 7,
}
"""How strongly an operator binds, as in the language."""


def show(value: Value) -> str:
    """The text of a value in messages, as the language writes it; a decision goes by its path."""
    return _spelled(value, 0)


def _spelled(value: Value, least: int) -> str:
    """The text of a value, in parentheses where it binds less than its place asks for."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"{{{', '.join(map(show, value))}}}"
    if isinstance(value, Choice):
        return value.path
    if not isinstance(value, Apply):
        return str(value)
    tight = _TIGHTNESS.get(value.function, 0)
    text = _spelled_function(value, tight)
    return f"({text})" if tight < least and value.function not in _CALLED else text


_CALLED = ("min", "max", "divisible")


def _spelled_function(value: Apply, tight: int) -> str:
    if value.function in _CALLED:
        return f"{value.function}({', '.join(map(show, value.arguments))})"
    if value.function == "if":
        condition, then, otherwise = (_spelled(each, 1) for each in value.arguments)
        return f"if {condition} then {then} else {otherwise}"
    *left, last = value.arguments
    if not left:
        return f"-{_spelled(last, tight)}" if value.function == "neg" else f"not {_spelled(last, tight)}"
    # Comparisons do not chain: both sides stand in parentheses.
    return f"{_spelled(left[0], tight + (tight == 4))} {value.function} {_spelled(last, tight + 1)}"
