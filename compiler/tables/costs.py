"""What a table of blocks says of a network, and of every candidate of a flattened space.

A block may be larger than what a decision changes: a table that times a whole bottleneck prices a space where
only its kernel is chosen. So candidates are priced in whole networks: the first of every decision in one, the
second in the next, and so on. Parts of the network that ever share a block belong together; a group with one
decision in it has a price for each of its candidates, a group with none is fixed. Two decisions in a group have
no prices of their own, which is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from networkx.utils import UnionFind

from compiler.derive import derive
from compiler.ir.graph import Network, SpaceGraph
from compiler.latency import TableProblem
from compiler.path_decisions import LatencyCosts, PathDecision, path_decisions
from compiler.tables.block_table import BlockTable
from compiler.tables.cover import Layer, Piece, pieces, require_all


class SharedBlocks(TableProblem):
    """Decisions that change one block together, so that their candidates have no prices of their own."""


def network_latency_ms(network: Network, table: BlockTable) -> float:
    """The sum of a network's blocks.

    Raises:
        MissingBlocks: the table does not have them all.
    """
    found = pieces(network.graph, table)
    require_all(found, table)
    return sum(map(_time_ms, found), 0.0)


def block_costs(flat: SpaceGraph, table: BlockTable) -> LatencyCosts:
    """The latency of a flattened space's fixed part, and of each candidate of each mixed node.

    Where mixed nodes are one decision, the price stands at the first of them.

    Raises:
        MissingBlocks: the table does not have all blocks; what all candidates lack is named at once.
        SharedBlocks: a block depends on two decisions.
        ValueError: two mixed nodes share some of their decisions but not all.
    """
    decisions = path_decisions(flat.graph)
    most = max((len(decision.labels) for decision in decisions), default=1)
    variants = [_variant(flat, decisions, index, table) for index in range(most)]
    require_all([piece for variant in variants for piece in variant], table)
    owners = _owners(decisions, variants)
    totals = [_totals_ms(variant, owners) for variant in variants]
    prices: dict[str, tuple[float, ...]] = {}
    for decision in decisions:
        prices.update(dict.fromkeys(decision.members, (0.0,) * len(decision.labels)))
        prices[decision.name] = tuple(
            totals[index].get(decision.name, 0.0) for index in range(len(decision.labels))
        )
    return LatencyCosts(totals[0].get(None, 0.0), prices)


def _variant(
    flat: SpaceGraph, decisions: Sequence[PathDecision], index: int, table: BlockTable
) -> tuple[Piece, ...]:
    """The pieces of the network of every decision's candidate `index`, or its last."""
    picked = [(each, min(index, len(each.labels) - 1)) for each in decisions]
    choices = {path: choice for each, pick in picked for path, choice in each.choices[pick]}
    labels = {member: f"{member} ({each.labels[pick]})" for each, pick in picked for member in each.members}
    found = pieces(derive(flat, choices).graph, table)
    return tuple(_placed(piece, labels) for piece in found)


def _placed(piece: Piece, labels: Mapping[str, str]) -> Piece:
    """The piece with a decision's name and the choice that needs it, where it is one's."""
    for part in piece.parts:
        if part in labels:
            return replace(piece, layer=Layer(piece.layer.span, labels[part]))
    return piece


def _owners(decisions: Sequence[PathDecision], variants: Sequence[Sequence[Piece]]) -> dict[str, str | None]:
    """The decision that each part of the network goes with; None for what is fixed.

    Raises:
        SharedBlocks: there are two.
    """
    groups = UnionFind()
    for variant in variants:
        for piece in variant:
            groups.union(*piece.parts)
    for decision in decisions:
        groups.union(*decision.members)
    owners: dict[str, str | None] = {}
    position = {decision.name: index for index, decision in enumerate(decisions)}
    for group in groups.to_sets():
        names = sorted(position.keys() & group, key=position.__getitem__)
        if len(names) > 1:
            raise SharedBlocks(
                f"the blocks of the latency table reach across the decisions `{names[0]}` and `{names[1]}`, so their "
                "candidates have no latencies of their own: price one network with --arch"
            )
        owners.update(dict.fromkeys(group, names[0] if names else None))
    return owners


def _totals_ms(found: Sequence[Piece], owners: Mapping[str, str | None]) -> dict[str | None, float]:
    """The sums of the pieces of each decision, and of what is fixed (None), added up in the network's order."""
    totals: dict[str | None, float] = {}
    for piece in found:
        owner = owners[piece.parts[0]]
        totals[owner] = totals.get(owner, 0.0) + _time_ms(piece)
    return totals


def _time_ms(piece: Piece) -> float:
    assert piece.time_ms is not None, "what the table lacks was said before"
    return piece.time_ms
