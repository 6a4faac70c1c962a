"""Labels of candidates: what an architecture file calls the path that was chosen."""

from __future__ import annotations

from collections.abc import Sequence

from dsl.syntax import Attr, Branch, Call, In, Named, Ref, Step


def labels(branches: Sequence[Branch], subset: bool = False) -> list[str | None]:
    """The label of each branch, `#2`, `#3` added where it repeats; None where a branch must carry one.

    A label is the written one, else the `as` name or the callee of a single call. In a subset (`choose 2 of`)
    a branch that starts at a named value goes by that name too: `s0 -> op(stride)` is `s0`.
    """
    found: list[str | None] = []
    counts: dict[str, int] = {}
    for branch in branches:
        base = branch.label or implied_label(branch, subset)
        if base is not None:
            counts[base] = counts.get(base, 0) + 1
            base = base if counts[base] == 1 else f"{base}#{counts[base]}"
        found.append(base)
    return found


def implied_label(branch: Branch, subset: bool = False) -> str | None:
    """The label of a branch that carries none."""
    pipe = branch.body.result
    if pipe is None or branch.body.bindings or (len(pipe.steps) > 1 and not subset):
        return None
    head = pipe.steps[0]
    if len(pipe.steps) > 1:
        return "in" if isinstance(head, In) else head.name if isinstance(head, Ref) else None
    return _callee_label(head)  # type: ignore[arg-type]


def _callee_label(step: Step) -> str | None:
    if isinstance(step, Named | Ref | Attr):
        return step.name
    if isinstance(step, Call):
        return step.callee.name
    return None
