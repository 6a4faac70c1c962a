"""The small space of the picture's golden files, with an architecture and probabilities."""

from __future__ import annotations

from pathlib import Path

from compiler.architecture import sample
from compiler.frontend import space_of
from compiler.ir.graph import MIXED, SpaceGraph
from compiler.passes.flatten import flatten
from compiler.picture.marks import Marks, fit_shares
from dsl.source import Source
from runtime.picture.figure import Figure, figure_of, flattened

FILE = Path(__file__).parent / "cell.space"


def small() -> SpaceGraph:
    """The space."""
    return space_of(Source(FILE.name, FILE.read_text(encoding="utf-8")))


def shares(graph: SpaceGraph) -> dict[str, dict[str, float]]:
    """Probabilities that fall from candidate to candidate by a half."""
    found = {}
    for node in flatten(graph).graph.nodes:
        if node.op == MIXED:
            halves = [0.5**at for at in range(len(node.candidates))]
            found[node.name] = {
                str(c.key): h / sum(halves) for c, h in zip(node.candidates, halves, strict=True)
            }
    return found


def marks(graph: SpaceGraph) -> Marks:
    """An architecture and probabilities."""
    return Marks(next(sample(graph, 1, seed=1)).choices, fit_shares(flatten(graph).graph, shares(graph)))


def figure(graph: SpaceGraph, marked: Marks | None = None) -> Figure:
    """The picture of a space."""
    drawn, why = flattened(graph)
    return figure_of(graph, drawn, marked or Marks(), [why] if why else [])
