"""Arguments of calls and labels of candidates."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.lower.scope import Problem
from dsl import syntax


def bind_arguments(
    known: Sequence[str], args: Sequence[syntax.Arg], callee: str
) -> list[tuple[str, syntax.Arg]]:
    """Each argument with the parameter that it is for: positional ones first, then named ones."""
    bound: dict[str, syntax.Arg] = {}
    for index, arg in enumerate(args):
        if arg.name is None and index >= len(known):
            raise Problem("E0315", f"`{callee}` takes {len(known)} arguments", arg.span)
        name = arg.name or known[index]
        if name not in known or name in bound:
            what = "is given twice" if name in bound else "is not one"
            raise Problem("E0315", f"argument `{name}` of `{callee}` {what}", arg.span)
        bound[name] = arg
    return list(bound.items())


def candidate_labels(branches: Sequence[syntax.Branch]) -> list[str]:
    """The label of each candidate: as written, else the callee's name, with `#2` where it repeats."""
    labels: list[str] = []
    counts: dict[str, int] = {}
    for branch in branches:
        base = branch.label or callee_name(branch)
        counts[base] = counts.get(base, 0) + 1
        labels.append(base if counts[base] == 1 else f"{base}#{counts[base]}")
    return labels


def callee_name(branch: syntax.Branch) -> str:
    """The name of the single call that an unlabelled candidate is."""
    pipe = branch.body.result
    step = pipe.steps[0] if pipe is not None and len(pipe.steps) == 1 and not branch.body.bindings else None
    if isinstance(step, syntax.Named):
        return step.name
    if isinstance(step, syntax.Call):
        return step.callee.name
    if isinstance(step, syntax.Ref):
        return step.name
    raise Problem(
        "E0318", "a candidate that is not a single call needs a label", branch.span, "write `label: …`"
    )
