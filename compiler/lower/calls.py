"""Arguments of calls and labels of candidates."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.lower.scope import Problem
from dsl import syntax
from dsl.labels import labels


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
    """The label of each candidate; a candidate that is not a single call must carry one."""
    found = labels(branches)
    for branch, label in zip(branches, found, strict=True):
        if label is None:
            message = "a candidate that is not a single call needs a label"
            raise Problem("E0318", message, branch.span, "write `label: …`")
    return [label for label in found if label is not None]
