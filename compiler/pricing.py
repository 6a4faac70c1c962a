"""The kernels of a space and the price of each candidate: what `profile` must measure, what a search pays.

A candidate is priced in its context: its graph holds the elementwise operators and the residual that
follow it, so its kernels are those of the bundle, and the price of a network is the sum of its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from compiler.derive import derive
from compiler.ir.graph import Candidate, Network, SpaceGraph
from compiler.kernel import Kernel
from compiler.passes.chains import chain_kernels, chains, cheapest
from compiler.passes.flatten import mixed_nodes
from compiler.passes.fold import fold_graph
from compiler.passes.fuse import Plan, fuse_graph
from compiler.path_decisions import LatencyCosts
from compiler.target import Target


@dataclass(frozen=True)
class Prices:
    """What a latency table says: the milliseconds of a call of each kernel, by signature, and of no kernel.

    `target` is where chains of kernels may be joined; without one, none are.
    """

    calls_ms: Mapping[str, float]
    constant_ms: float
    target: Target | None = None

    def joined(self, plan: Plan) -> Plan:
        """The plan as it is built: chains that have a price are joined where that is cheaper.

        Raises:
            KeyError: a kernel has no price.
        """
        found = {} if self.target is None else chains(plan, self.target)
        priced = {segment: call for segment, call in found.items() if call.kernel.signature in self.calls_ms}
        return cheapest(plan, priced, self.calls_ms.__getitem__) if priced else plan

    def of(self, plan: Plan) -> float:
        """The sum of the kernels and calls of a plan as it is built, without the constant.

        Raises:
            KeyError: a kernel has no price.
        """
        return sum(self.calls_ms[call.kernel.signature] for call in self.joined(plan).calls)


def inference_plan(network: Network) -> Plan:
    """The kernels of a network as it is built: batch norm folded, dropout left out."""
    return fuse_graph(fold_graph(network.graph))


def plans(flat: SpaceGraph) -> Iterator[tuple[str, int, Plan]]:
    """Each part of a flattened space as kernels: ("", 0, fixed part), then (mixed node, candidate, plan)."""
    yield "", 0, fuse_graph(fold_graph(flat.graph))
    for node in mixed_nodes(flat):
        for index, candidate in enumerate(node.candidates):
            yield node.name, index, fuse_graph(fold_graph(candidate.graph))


def space_kernels(flat: SpaceGraph, target: Target | None = None) -> dict[str, Kernel]:
    """The distinct kernels of all networks of a flattened space, by signature, in a stable order.

    With a target, also the chains of them that may be worth joining there.
    """
    found: dict[str, Kernel] = {}
    for _, _, plan in plans(flat):
        found.update(plan.kernels if target is None else chain_kernels(plan, target))
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


def plan_of(flat: SpaceGraph, chosen: Iterable[Candidate]) -> Plan:
    """The kernels of the network of one candidate of each mixed node; of two that disagree the later counts."""
    return sample_plan(flat, {path: choice for each in chosen for path, choice in each.choices})


def extreme_plans(flat: SpaceGraph) -> list[Plan]:
    """The networks whose mixed nodes have the fewest and the most kernels each: what a search may end with, and what
    random networks are far from.
    """
    calls: dict[str, list[int]] = {}
    for name, _, plan in plans(flat):
        calls.setdefault(name, []).append(len(plan.calls))

    def network(pick: Callable[[list[int]], int]) -> Plan:
        own = [(node, calls[node.name]) for node in mixed_nodes(flat)]
        return plan_of(flat, [node.candidates[counts.index(pick(counts))] for node, counts in own])

    return [network(min), network(max)]
