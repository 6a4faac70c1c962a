"""Which decision of the compiler is which of the brute force: the same `choose`, names that are the same but for the
numbers of siblings, and siblings in the same order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from compiler.ir.graph import SpaceGraph
from tests.compiler.brute_force import BruteForce, Made


def matched(space: SpaceGraph, brute: BruteForce, reached: Iterable[str]) -> dict[Made, str]:
    """The path of each decision that was ever made; `reached` are the paths that any architecture has.

    Raises:
        AssertionError: a decision has no path, or a path no decision.
    """
    wanted = set(reached)
    spans = {each.path: each.span for each in space.decisions if each.path in wanted}
    paths: dict[tuple[str, int], list[str]] = defaultdict(list)
    for path, span in spans.items():
        assert span is not None
        paths[span.source.name, span.start].append(path)
    groups: dict[tuple[tuple[str, int], tuple[str, ...]], list[Made]] = defaultdict(list)
    for made, span in brute.origins.items():
        groups[(span.source.name, span.start), made.names].append(made)
    found: dict[Made, str] = {}
    for (where, names), group in groups.items():
        fitting = sorted((numbers(path, names), path) for path in paths[where] if numbers(path, names))
        assert len(fitting) == len(group), (names, paths[where])
        order = sorted(group, key=lambda made: _order(made, brute))
        found.update({made: path for made, (_, path) in zip(order, fitting, strict=True)})
    assert sorted(found.values()) == sorted(spans), "each path is one decision's"
    return found


def numbers(path: str, names: tuple[str, ...]) -> tuple[int, ...]:
    """The number of each sibling in a path with these names, 1 where none is written; empty where it has others."""
    elements = path.split(".")
    if len(elements) != len(names):
        return ()
    found = []
    for element, name in zip(elements, names, strict=True):
        gap = "_" if name[-1].isdigit() else ""
        match = re.fullmatch(rf"{re.escape(name)}(?:{gap}(\d+))?", element)
        if match is None:
            return ()
        found.append(int(match[1] or 1))
    return tuple(found)


def _order(made: Made, brute: BruteForce) -> list[object]:
    """Siblings stand in the order in which the compiler meets them: that of the text."""
    return [brute.first[made.keys[:length]] for length in range(1, len(made.keys) + 1)]
