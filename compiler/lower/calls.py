"""Arguments of calls and labels of candidates."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.lower.scope import Problem
from dsl import syntax
from dsl.labels import labels
from dsl.suggest import did_you_mean


def bind_arguments(
    known: Sequence[str], args: Sequence[syntax.Arg], callee: str
) -> list[tuple[str, syntax.Arg]]:
    """Each argument with the parameter that it is for: positional ones first, then named ones."""
    bound: dict[str, syntax.Arg] = {}
    for index, arg in enumerate(args):
        if arg.name is None and index >= len(known):
            count = len(known)
            message = f"`{callee}` takes {count or 'no'} argument{'s' * (count != 1)}"
            raise Problem("E0123", message, arg.span)
        name = arg.name or known[index]
        if name not in known:
            raise Problem(
                "E0120", f"`{callee}` has no parameter `{name}`", arg.span, did_you_mean(name, known)
            )
        if name in bound:
            raise Problem("E0122", f"`{name}` is given twice to `{callee}`", arg.span)
        bound[name] = arg
    return list(bound.items())


def candidate_labels(branches: Sequence[syntax.Branch], subset: bool = False) -> list[str]:
    """The label of each candidate (see `dsl.labels`); one that is not a single call must carry one."""
    found = labels(branches, subset)
    for branch, label in zip(branches, found, strict=True):
        if label is None:
            message = "a candidate that is not a single call needs a label"
            raise Problem("E0130", message, branch.span, "write `label: …`")
    return [label for label in found if label is not None]
