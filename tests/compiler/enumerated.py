"""Random spaces with all their networks, by brute force; made once for all tests that ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from compiler.frontend import examine
from compiler.ir.expression import Literal
from compiler.ir.graph import SpaceGraph
from dsl.source import Source
from tests.compiler.brute_force import BruteForce, Run, TooMany
from tests.compiler.random_spaces import made

MOST = 64
"""The most networks of a space that is compared in full."""


@dataclass(frozen=True)
class Enumerated:
    """A space as the compiler has it, and its runs by brute force."""

    graph: SpaceGraph
    brute: BruteForce
    runs: tuple[Run, ...]


@cache
def graph_of(seed: int) -> SpaceGraph:
    """A random space, of any size."""
    return _analysed(seed)[0]


def _analysed(seed: int) -> tuple[SpaceGraph, BruteForce]:
    analysis = examine(Source("made.space", made(seed)))
    assert analysis.diagnostics == [], f"seed {seed}"
    assert analysis.file is not None
    return analysis.graphs["made"], BruteForce(analysis.file, "made")


def enumerate_text(text: str, space: str, most: int) -> Enumerated:
    """A space of a text and its networks.

    Raises:
        TooMany: there are more than `most`.
    """
    analysis = examine(Source("text.space", text))
    assert analysis.diagnostics == []
    assert analysis.file is not None
    brute = BruteForce(analysis.file, space)
    return Enumerated(analysis.graphs[space], brute, tuple(brute.runs(most)))


@cache
def small_spaces(number: int) -> Mapping[int, Enumerated]:
    """The first random spaces of 2 to `MOST` networks, by seed."""
    found: dict[int, Enumerated] = {}
    seed = 0
    while len(found) < number:
        graph, brute = _analysed(seed)
        try:
            runs = tuple(brute.runs(MOST))
        except TooMany:
            runs = ()
        if len(runs) > 1:
            found[seed] = Enumerated(graph, brute, runs)
        seed += 1
    return found


Choices = frozenset[tuple[str, Literal]]
"""An assignment, as one of a set of them."""
