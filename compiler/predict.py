"""What a latency table of either kind says of a network and of a space: measured kernels, or blocks from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.architecture import Architecture
from compiler.derive import derive
from compiler.ir.expression import Assignment, Literal
from compiler.ir.graph import Network, SpaceGraph
from compiler.latency import LatencyTable, Prediction
from compiler.passes.flatten import flatten
from compiler.path_costs import latency_path_costs
from compiler.path_decisions import LatencyCosts, PathDecision, path_decisions
from compiler.pricing import inference_plan, latency_costs, space_kernels
from compiler.reach import reach
from compiler.tables.block_table import BlockTable
from compiler.tables.costs import block_costs, network_latency_ms

Table = LatencyTable | BlockTable


@dataclass(frozen=True)
class SpaceLatency:
    """The latencies of the fastest and the slowest network of a space, and what to expect of a random one.

    The expectation is over each mixed op by itself, all its candidates as likely as each other: what an
    architecture search starts from (ProxylessNAS, equation 2, with equal architecture parameters).
    """

    min_ms: float
    max_ms: float
    expected_ms: float
    fastest: Architecture


def relative_error(table: Table) -> float | None:
    """The error to be expected of a predicted latency, relative to it; None where the table does not say."""
    return None if isinstance(table, BlockTable) else table.model.error


def predict(table: Table, space: SpaceGraph, choices: Assignment) -> Prediction:
    """The latency of one network of a space.

    A table of blocks prices the network as it is; a measured one prices its kernels, which end where the mixed
    ops of the flattened space do.

    Raises:
        TableProblem: the table lacks a kernel or blocks; the message names them.
        CannotFlatten: the table is a measured one, and the space has no mixed ops.
    """
    if isinstance(table, BlockTable):
        return predict_network(table, derive(space, choices))
    return predict_network(table, derive(flatten(space), choices))


def predict_network(table: Table, network: Network) -> Prediction:
    """The latency of a network derived from a flattened space, or from one without a decision.

    Raises:
        TableProblem: the table lacks a kernel or blocks; the message names them.
    """
    if isinstance(table, BlockTable):
        return Prediction(network_latency_ms(network, table))
    return table.predict_plan(inference_plan(network))


def candidate_costs(table: Table, flat: SpaceGraph) -> LatencyCosts:
    """The latency of each candidate of a flattened space, and of its fixed part.

    Raises:
        TableProblem: the table lacks a kernel or blocks; the message names them.
    """
    if isinstance(table, BlockTable):
        return block_costs(flat, table)
    for signature in space_kernels(flat):
        table.of(signature)
    return latency_costs(flat, table.prices)


def space_latency(space: SpaceGraph, flat: SpaceGraph, costs: LatencyCosts) -> SpaceLatency:
    """The range of latency of a space and of its flattened form, and its fastest network.

    Raises:
        ValueError: two mixed nodes share some of their decisions but not all.
    """
    decisions = path_decisions(flat.graph)
    latency = latency_path_costs(decisions, costs)
    return SpaceLatency(
        latency.total(latency.least),
        latency.total(latency.most),
        latency.uniform_mean,
        _architecture(space, decisions, latency.least),
    )


def _architecture(space: SpaceGraph, decisions: Sequence[PathDecision], picks: Sequence[int]) -> Architecture:
    """The network of the picks; a decision without effect gets its first option."""
    chosen: dict[str, Literal] = {}
    for decision, pick in zip(decisions, picks, strict=True):
        chosen.update(decision.choices[pick])
    choices = reach(space.graph, lambda decision: chosen.get(decision.path, decision.options[0]))
    return Architecture(space.name, choices)
