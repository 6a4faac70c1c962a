"""The decisions of a space as a table: their options, what was chosen, how likely each option is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compiler.ir.graph import MIXED, Decision, Node, SpaceGraph, decisions_of
from compiler.picture.marks import Marks, entropy_bits, label_of, marginal
from compiler.picture.values import Cell
from compiler.picture.words import text_of, where

ROWS_CAP, OPTIONS_CAP = 500, 24


@dataclass(frozen=True)
class DecisionRow:
    """A decision of the file. `options` are its first ones, `more` counts the others."""

    path: str
    written: str
    options: tuple[Cell, ...]
    more: int
    entropy: str


def decision_table(space: SpaceGraph, drawn: SpaceGraph, marks: Marks) -> tuple[tuple[DecisionRow, ...], int]:
    """A row for each decision of the space in the order of the file, up to a cap; also how many were left out.

    `drawn` is the graph of the picture, in which the probabilities of mixed ops are known.
    """
    decisions = tuple(dict.fromkeys(decisions_of(space.graph)))
    owners = _owners(drawn)
    rows = tuple(_row(each, owners.get(each.path), marks) for each in decisions[:ROWS_CAP])
    return rows, max(0, len(decisions) - ROWS_CAP)


def _owners(drawn: SpaceGraph) -> Mapping[str, Node]:
    """The first mixed op that makes each decision."""
    found: dict[str, Node] = {}
    for node in drawn.graph.nodes:
        if node.op == MIXED:
            for path in {path for each in node.candidates for path, _ in each.choices}:
                found.setdefault(path, node)
    return found


def _row(decision: Decision, owner: Node | None, marks: Marks) -> DecisionRow:
    shares = _shares(decision, owner, marks)
    cells = tuple(
        Cell(text_of(option), "", "", marks.state(decision.path, option), share)
        for option, share in zip(decision.options, shares, strict=True)
    )
    known = [share for share in shares if share is not None]
    entropy = f"{entropy_bits(known):.2f}" if known else ""
    written = " ".join(where(decision.span))
    return DecisionRow(decision.path, written, cells[:OPTIONS_CAP], max(0, len(cells) - OPTIONS_CAP), entropy)


def _shares(decision: Decision, owner: Node | None, marks: Marks) -> list[float | None]:
    """The probability of each option: given of the decision itself, else summed over a mixed op's candidates."""
    if decision.path in marks.shares and owner is None:
        row = marks.shares[decision.path]
        return [row.get(label_of(option)) for option in decision.options]
    if owner is None or owner.name not in marks.shares:
        return [None] * len(decision.options)
    return [marginal(owner, marks.shares[owner.name], decision.path, option) for option in decision.options]
