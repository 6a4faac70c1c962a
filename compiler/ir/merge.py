"""The type of a node that merges those of its candidates that a decision picks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from compiler.ir.enumeration import settle
from compiler.ir.expression import Scalar, Value, apply, both
from compiler.ir.ops import Demands, TypeProblem
from compiler.ir.types import TensorType

Picked = tuple[Scalar, TensorType]
"""A candidate's key and the type it gives where it is picked."""


def merged_type(merge: str, selector: Value, candidates: Sequence[Picked], assuming: Value) -> TensorType:
    """What `merge` (`add`, `concat`, `mul`) makes of the candidates whose keys are in the set `selector`.

    Any two that may be picked together agree: in all sizes, for `concat` in all but the channels, which are
    summed over the picked ones. The sum stays an expression over the decision.

    Raises:
        TypeProblem: two of them do not fit.
    """
    (_, first), *_ = candidates
    channels = 0 if len(first.dimensions) == 3 else len(first.dimensions) - 1
    axis = channels if merge == "concat" else None
    for (one, left), (other, right) in combinations(candidates, 2):
        where = both(assuming, both(apply("contains", selector, one), apply("contains", selector, other)))
        message = f"`{merge}` of {left} (`{one}`) and {right} (`{other}`)"
        if len(left.dimensions) != len(right.dimensions):
            raise TypeProblem(message)
        for place, (mine, theirs) in enumerate(zip(left.dimensions, right.dimensions, strict=True)):
            if place != axis:
                Demands(where).equal(mine, theirs, message)
    if axis is None:
        return first
    total: Value = 0
    for key, type_ in candidates:
        part = apply("if", apply("contains", selector, key), type_.channels, 0)
        total = part if total == 0 else apply("+", total, part)
    sizes = [settle(total) if place == axis else size for place, size in enumerate(first.dimensions)]
    return TensorType(tuple(sizes))
