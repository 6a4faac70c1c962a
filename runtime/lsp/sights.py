"""What a place comes to in the expanded spaces, in a few lines of Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from compiler.bounds import Bounds, TooMany, bounds
from compiler.inspection import Sight
from compiler.ir.enumeration import assignments
from compiler.ir.expression import Value, ValueProblem, choices_of, evaluate, is_symbolic, show
from compiler.ir.types import TensorType
from compiler.lower.scope import Function, Meaning, Tensor

LINES = 4
"""The most lines of types or values that are shown; of what is beyond, its number."""
PRICED = 64
"""The most places whose costs are worked out."""
_COMBINATIONS = 1024


def literals(value: Value) -> list[Value]:
    """All that a value can be, in order; itself where these are too many to tell."""
    if not is_symbolic(value):
        return [value]
    try:
        found = {evaluate(value, each) for each in assignments(choices_of(value), _COMBINATIONS)}
    except ValueProblem:
        return [value]
    return sorted(found, key=lambda each: (isinstance(each, str | tuple), each))


def size_text(size: Value) -> str:
    """One dimension: `16`, `16..96` where it depends on decisions, `?` where it cannot be told."""
    found = literals(size)
    if len(found) == 1:
        return "?" if is_symbolic(found[0]) else show(found[0])
    return f"{show(found[0])}..{show(found[-1])}"


def type_text(type_: TensorType) -> str:
    """A type with each dimension as `size_text` has it."""
    return f"[{', '.join(map(size_text, type_.dimensions))}]"


def meaning_text(meaning: Meaning) -> str:
    """A tensor by its type, a value by what it can be, a reference by its name."""
    if isinstance(meaning, Tensor):
        return type_text(meaning.type)
    if isinstance(meaning, Function):
        return meaning.name
    values = literals(meaning)  # type: ignore[arg-type]
    if is_symbolic(values[0]):
        return "depends on decisions"
    found = [show(each) for each in values]
    return ", ".join(found) if len(found) <= 8 else f"{found[0]} .. {found[-1]}, {len(found)} values"


def _counted(texts: Iterable[str]) -> Iterator[str]:
    """Each text once, with how often it occurs where there are several."""
    counts = Counter(texts)
    for text, count in list(counts.items())[:LINES]:
        times = f" at {count} places" if count > 1 and len(counts) > 1 else ""
        yield f"`{text}`{times}"
    if len(counts) > LINES:
        rest = len(counts) - LINES
        yield f"and {rest} other{'s' * (rest > 1)}"


def value_lines(sights: Sequence[Sight]) -> list[str]:
    """What a name or a value is at its places."""
    return list(_counted(meaning_text(each.meaning) for each in sights))


def step_lines(sights: Sequence[Sight]) -> list[str]:
    """The types that enter and leave a step at its places, how many these are, and what it costs."""
    tensors = [each for each in sights if isinstance(each.meaning, Tensor)]
    lines = list(_counted(f"{_entering(each)} -> {meaning_text(each.meaning)}" for each in tensors))
    if not lines:
        return []
    where = f"at {len(tensors)} places of the expanded spaces" if len(tensors) > 1 else "at one place"
    return [*lines, f"{where}; {cost_text(tensors)}"]


def _entering(sight: Sight) -> str:
    return ", ".join(map(type_text, sight.operands))


def cost_text(sights: Sequence[Sight]) -> str:
    """The parameters and MACs of one place, over all of them, and their sum where each is always reached."""
    if len(sights) > PRICED:
        return f"costs of so many places are not worked out (more than {PRICED})"
    try:
        found = [
            each for each in (bounds(sight.items, sight.assuming) for sight in sights) if each is not None
        ]
        if not found:
            return "never reached"
        each_one = found[0]
        for other in found[1:]:
            each_one = each_one.hull(other)
        text = bounds_text(each_one)
        if len(sights) > 1 and not any(sight.assuming for sight in sights):
            whole = bounds([item for sight in sights for item in sight.items])
            return f"each {text}; together {bounds_text(whole)}" if whole is not None else text
        return f"each {text}" if len(sights) > 1 else text
    except TooMany as problem:
        return str(problem)


def bounds_text(found: Bounds) -> str:
    """`1,024 parameters, 3,211,264 to 9,633,792 MACs`."""
    return f"{_range(found.params)} parameters, {_range(found.macs)} MACs"


def _range(ends: tuple[int, int]) -> str:
    least, most = ends
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"
