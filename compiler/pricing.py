"""The kernels of a space and the price of each candidate: what `profile` must measure, what a search pays.

A candidate is priced in its context: its graph holds the elementwise operators and the residual that
follow it, so its kernels are those of the bundle, and the price of a network is the sum of its parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from compiler.derive import derive
from compiler.expected import LatencyCosts
from compiler.ir.graph import Network, SpaceGraph
from compiler.kernel import Kernel
from compiler.passes.flatten import mixed_nodes
from compiler.passes.fold import fold_graph
from compiler.passes.fuse import Plan, fuse_graph


@dataclass(frozen=True)
class Prices:
    """What a latency table says of single kernels: milliseconds by signature, and the cost of each call."""

    kernels_ms: Mapping[str, float]
    constant_ms: float
    per_call_ms: float

    def of(self, plan: Plan) -> float:
        """The sum of a plan's kernels and calls, without the constant.

        Raises:
            KeyError: a kernel has no price.
        """
        return sum(self.kernels_ms[call.kernel.signature] + self.per_call_ms for call in plan.calls)


def inference_plan(network: Network) -> Plan:
    """The kernels of a network as it is built: batch norm folded, dropout left out."""
    return fuse_graph(fold_graph(network.graph))


def plans(flat: SpaceGraph) -> Iterator[tuple[str, int, Plan]]:
    """Each part of a flattened space as kernels: ("", 0, fixed part), then (mixed node, candidate, plan)."""
    yield "", 0, fuse_graph(fold_graph(flat.graph))
    for node in mixed_nodes(flat):
        for index, candidate in enumerate(node.candidates):
            yield node.name, index, fuse_graph(fold_graph(candidate.graph))


def space_kernels(flat: SpaceGraph) -> dict[str, Kernel]:
    """The distinct kernels of all networks of a flattened space, by signature, in a stable order."""
    found: dict[str, Kernel] = {}
    for _, _, plan in plans(flat):
        found.update(plan.kernels)
    return found


def latency_costs(flat: SpaceGraph, prices: Prices) -> LatencyCosts:
    """The price of each candidate of each mixed node, and of the fixed part with the constant.

    Raises:
        KeyError: a kernel has no price.
    """
    fixed = prices.constant_ms
    candidates: dict[str, list[float]] = {}
    for name, _, plan in plans(flat):
        if name:
            candidates.setdefault(name, []).append(prices.of(plan))
        else:
            fixed += prices.of(plan)
    return LatencyCosts(fixed, {name: tuple(row) for name, row in candidates.items()})


def sample_plan(flat: SpaceGraph, choices: Mapping[str, object]) -> Plan:
    """The kernels of the network of `choices`."""
    return inference_plan(derive(flat, choices))  # type: ignore[arg-type]
