"""Cover a network by the blocks of a latency table, and price it so; what the table lacks is named.

A network is cut into stretches of its canonical order, each with one result: blocks of the table, blocks of a
kind that the table has but with other sizes (they are missing), or single operators that it knows no block
for. Of all such cuts the one is taken with the fewest operators of the last sort, then the fewest missing
blocks, then the fewest blocks: dynamic programming over the position in the order. A layer whose choice is to
pass its input on has no operator left and costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from compiler.ir.graph import INPUT, Graph, Node
from compiler.ir.types import Dimensions
from compiler.kernel import Kernel
from compiler.latency import TableProblem
from compiler.passes.fold import fold_graph
from compiler.passes.simplify import simplify
from compiler.tables.block import block_of, form
from compiler.tables.block_table import BlockTable, name_of
from dsl.source import Span

MISSING_SHOWN, PLACES_SHOWN = 100, 4
"""How many missing blocks, and how many layers of each, a message names."""


@dataclass(frozen=True)
class Layer:
    """Where a block is needed: where its first operator is written, and the name of the layer it is in."""

    span: Span | None
    name: str

    def __str__(self) -> str:
        return f"{self.span}: `{self.name}`" if self.span is not None else f"`{self.name}`"


@dataclass(frozen=True)
class Piece:
    """A stretch of a network. `time_ms` is None where the table has no such block.

    `parts` are what it is made of: the decision units that its operators belong to, and the names of the
    operators that belong to none.
    """

    block: Kernel
    layer: Layer
    time_ms: float | None
    known_form: bool
    parts: tuple[str, ...]


class MissingBlocks(TableProblem):
    """A latency table lacks blocks that a network needs; the message names each, and the layers that need it."""


_Cost = tuple[int, int, int]
"""Operators without a block, missing blocks, pieces."""


@dataclass(frozen=True, slots=True)
class _Best:
    """The least cost up to some position, and the last piece, with where it starts."""

    cost: _Cost
    start: int
    piece: Piece | None


def pieces(graph: Graph, table: BlockTable) -> tuple[Piece, ...]:
    """A concrete graph cut into pieces, in its order."""
    prepared = simplify(fold_graph(graph))
    shapes = {node.name: node.type.sizes for node in prepared.nodes}
    nodes = [node for node in prepared.nodes if node.op != INPUT]
    last_reader = _last_readers(prepared, nodes)
    best: list[_Best] = [_Best((0, 0, 0), 0, None)]
    for end in range(1, len(nodes) + 1):
        ways = [
            _Best(_sum(best[start].cost, piece), start, piece)
            for start in _starts(nodes, last_reader, end, table)
            if (piece := _piece(nodes[start:end], shapes, table)).known_form or end - start == 1
        ]
        best.append(min(ways, key=lambda way: (way.cost, way.start)))
    return tuple(_walk_back(best))


def _last_readers(graph: Graph, nodes: Sequence[Node]) -> list[int]:
    """The position of the last reader of each node; behind all for the output."""
    last = {operand: position for position, node in enumerate(nodes) for operand in node.inputs}
    last[graph.output] = len(nodes)
    return [last[node.name] for node in nodes]


def _starts(nodes: Sequence[Node], last_reader: Sequence[int], end: int, table: BlockTable) -> Iterator[int]:
    """Where a piece that ends before `end` may start: nothing but its last value is read outside it."""
    yield end - 1
    for start in range(end - 2, max(end - table.longest, 0) - 1, -1):
        operators = tuple(node.op for node in nodes[start:end])
        if operators in table.sequences and all(last < end for last in last_reader[start : end - 1]):
            yield start


def _piece(nodes: Sequence[Node], shapes: Mapping[str, Dimensions], table: BlockTable) -> Piece:
    block = block_of(nodes, shapes)
    time = table.times.get(block)
    first = nodes[0]
    layer = Layer(first.span, first.name.rpartition(".")[0] or first.name)
    parts = tuple(dict.fromkeys(node.unit or node.name for node in nodes))
    return Piece(block, layer, None if time is None else time.mean_ms, form(block) in table.forms, parts)


def _sum(cost: _Cost, piece: Piece) -> _Cost:
    unknown, missing, count = cost
    lacking = piece.time_ms is None and piece.known_form
    return unknown + (not piece.known_form), missing + lacking, count + 1


def _walk_back(best: Sequence[_Best]) -> list[Piece]:
    found: list[Piece] = []
    position = len(best) - 1
    while position > 0:
        piece, position = best[position].piece, best[position].start
        assert piece is not None
        found.append(piece)
    return found[::-1]


def require_all(found: Sequence[Piece], table: BlockTable) -> None:
    """Demand that the table has every piece.

    Raises:
        MissingBlocks: it does not; all that it lacks are named.
    """
    lacking: dict[str, dict[str, None]] = {}
    for piece in found:
        if piece.time_ms is None:
            what = name_of(piece.block) if piece.known_form else f"a block that covers `{_operator(piece)}`"
            lacking.setdefault(what, {})[str(piece.layer)] = None
    if lacking:
        raise MissingBlocks(_message(lacking, table))


def _operator(piece: Piece) -> str:
    return piece.block.steps[0].operator


def _message(lacking: Mapping[str, Mapping[str, None]], table: BlockTable) -> str:
    number = f"{len(lacking)} block{'s' if len(lacking) > 1 else ''}"
    lines = [f"the latency table of {table.device} lacks {number} that the network needs"]
    for what, layers in list(lacking.items())[:MISSING_SHOWN]:
        lines.append(f"  {what}")
        lines += [f"    at {layer}" for layer in list(layers)[:PLACES_SHOWN]]
        rest = len(layers) - PLACES_SHOWN
        lines += [f"    and {rest:,} more layers"] if rest > 0 else []
    rest = len(lacking) - MISSING_SHOWN
    lines += [f"  and {rest:,} more blocks"] if rest > 0 else []
    lines.append("measure them and add them to the table (docs/latency_tables.md), or change the layers")
    return "\n".join(lines)
