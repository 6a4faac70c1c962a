"""The passes in the order they run, each verified before and after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compiler.ir.graph import SpaceGraph
from compiler.ir.verify import InvalidGraph, verify_space
from compiler.passes.flatten import flatten


@dataclass(frozen=True)
class Pass:
    """One rewriting of a space graph, by name."""

    name: str
    run: Callable[[SpaceGraph], SpaceGraph]


SEARCH_PASSES = (Pass("flatten", flatten),)
"""What makes a space ready for a supernet. `simplify`, `fold` and `fuse` work on the networks derived from it."""

Callback = Callable[[str, SpaceGraph], None]


def run_passes(
    space: SpaceGraph, passes: tuple[Pass, ...] = SEARCH_PASSES, after: Callback | None = None
) -> SpaceGraph:
    """The space after all `passes`; `after` sees the result of each, for dumps and timing.

    Raises:
        InvalidGraph: a pass left the graph invalid; the message names it and those before it.
    """
    verify_space(space)
    done: list[str] = []
    for each in passes:
        space = each.run(space)
        done.append(each.name)
        try:
            verify_space(space)
        except InvalidGraph as problem:
            raise InvalidGraph(f"after {' -> '.join(done)}: {problem}") from None
        if after is not None:
            after(each.name, space)
    return space
