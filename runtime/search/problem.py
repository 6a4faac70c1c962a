"""What is searched: a flattened space, the metrics of its networks, and the caps on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from compiler.caps import Cap, Caps, Metric
from compiler.ir.graph import Limit, SpaceGraph
from compiler.nets.architecture_parameters import draw_uniform
from compiler.path_costs import PathCosts, Picks, latency_path_costs, size_costs
from compiler.path_decisions import LatencyCosts, PathDecision, path_decisions
from compiler.peak_memory import PeakMemory
from dsl.settings import CapSetting
from runtime.search.options import InfeasibleCap, SearchProblem
from runtime.search.samplers.sampler import Region, least_excess

TRIES = 10
"""Draws until a path holds the caps."""


@dataclass(frozen=True)
class Problem:
    """A flattened space. Metrics go by `latency on TARGET`, `macs`, `params`, `peak_memory`."""

    flat: SpaceGraph
    decisions: tuple[PathDecision, ...]
    metrics: Mapping[str, Metric]
    caps: Caps

    @property
    def candidates(self) -> tuple[int, ...]:
        """The number of candidates of each decision."""
        return self.caps.candidates

    @property
    def additive(self) -> dict[str, PathCosts]:
        """The metrics that are sums over the decisions."""
        return {name: each for name, each in self.metrics.items() if isinstance(each, PathCosts)}

    @property
    def objective(self) -> str:
        """The metric of the front: that of the first cap which is on no peak, else the first latency, else the MACs."""
        capped = [cap.name for cap in self.caps.caps if cap.relation == "<=" and cap.name != "peak_memory"]
        return (capped or [name for name in self.metrics if name.startswith("latency")] or ["macs"])[0]

    def costs(self, picks: Sequence[int]) -> dict[str, float]:
        """Every metric of a network."""
        return {name: metric.total(picks) for name, metric in self.metrics.items()}

    def expected(self, shares: Sequence[Sequence[float]]) -> dict[str, float]:
        """The expectation of every metric that is a sum, where each candidate has its share."""
        return {name: costs.mean(shares) for name, costs in self.additive.items()}

    def random_network(self, generator: torch.Generator) -> Picks:
        """A network that holds all caps: the one of the greatest sum of random scores. Not uniform; for where
        uniform draws find none."""
        found = self.caps.best([torch.rand(size, generator=generator).tolist() for size in self.candidates])
        assert found is not None, "feasibility was checked before"
        return found

    @property
    def region(self) -> Region:
        """Where samplers may look: the networks that hold all caps."""
        return Region(self.candidates, self.caps.excess, self.random_network)

    def random_path(self, generator: torch.Generator, alive: Sequence[Sequence[int]] | None = None) -> Picks:
        """A path to train weights along: a uniform draw of candidates, of those `alive`, under the caps."""
        alive = [range(size) for size in self.candidates] if alive is None else alive
        sizes = [len(row) for row in alive]

        def draw() -> Picks:
            places = draw_uniform(sizes, generator)
            return tuple(row[place] for row, place in zip(alive, places, strict=True))

        return self.path_under_caps(draw)

    def path_under_caps(self, draw: Callable[[], Picks]) -> Picks:
        """The first of `TRIES` draws that holds the caps on sums, else the one that breaks them least.

        Networks that may not be found need no training, and those under a cap take less time.
        """
        return least_excess(draw, self.caps_on_sums.excess, TRIES)[1]

    @cached_property
    def caps_on_sums(self) -> Caps:
        """The caps on metrics that are sums: quick to check, and with an expectation."""
        return replace(self.caps, caps=tuple(cap for cap in self.caps.caps if cap.name in self.additive))

    def check_feasible(self) -> None:
        """Whether some network holds all caps.

        Raises:
            InfeasibleCap: none does; it names a cap, and the nearest to its limit that can be reached.
        """
        caps = self.caps.caps
        for cap in caps:
            alone = Caps(self.candidates, (cap,))
            if not alone.feasible():
                raise InfeasibleCap(cap, alone.reachable(cap), others=False)
        if len(caps) > 1 and not self.caps.feasible():
            sums = self.caps_on_sums.caps
            reachable = {cap: self.caps.reachable(cap) for cap in sums}
            tightest = next((cap for cap in sums if reachable[cap] is not None), caps[0])
            raise InfeasibleCap(tightest, reachable.get(tightest), others=True)


def problem_of(
    flat: SpaceGraph,
    latencies: Mapping[str, LatencyCosts],
    caps: Sequence[CapSetting] = (),
    target: str | None = None,
    listed_ms: Mapping[str, Metric] | None = None,
) -> Problem:
    """The problem of a flattened space, of prices by target, and of the caps of a search and of the space itself.
    `listed_ms` are latencies by target that are known network by network: they take the place of prices.

    A cap on latency without a target is on `target`. What a space requires of a latency on a target that has no
    prices is left to those who read the result.

    Raises:
        SearchProblem: a cap on the latency of a target without prices, or prices that do not fit the space.
        ValueError: the space's mixed nodes share decisions in part.
    """
    decisions = path_decisions(flat.graph)
    metrics: dict[str, Metric] = {}
    for name, costs in latencies.items():
        try:
            metrics[f"latency on {name}"] = latency_path_costs(decisions, costs)
        except ValueError as problem:
            raise SearchProblem(f"{problem}", "profile the target for this space") from None
    metrics |= {f"latency on {name}": metric for name, metric in (listed_ms or {}).items()}
    metrics |= size_costs(flat, decisions)
    wanted = [_wanted(cap, metrics, target) for cap in caps] + [
        limit for limit in flat.limits if _metric_name(limit.metric, limit.target) in _known(metrics)
    ]
    if any(cap.metric == "peak_memory" for cap in wanted):
        metrics["peak_memory"] = PeakMemory(flat, decisions)
    made = dict.fromkeys(_cap(each, metrics, target) for each in wanted)
    return Problem(flat, decisions, metrics, Caps(tuple(len(each.labels) for each in decisions), tuple(made)))


def _known(metrics: Mapping[str, Metric]) -> set[str]:
    return {*metrics, "peak_memory"}


def _metric_name(metric: str, target: str | None) -> str:
    return f"{metric} on {target}" if metric == "latency" else metric


def _wanted(cap: CapSetting, metrics: Mapping[str, Metric], target: str | None) -> CapSetting:
    name = _metric_name(cap.metric, cap.target or target)
    if name not in _known(metrics):
        raise SearchProblem(f"a cap on the {name}, which has no latency table", "profile the target first")
    return cap


def _cap(wanted: CapSetting | Limit, metrics: Mapping[str, Metric], target: str | None) -> Cap:
    if isinstance(wanted, Limit):
        relation, limit = wanted.comparison, float(wanted.bound)  # type: ignore[arg-type]
    else:
        relation, limit = wanted.relation, wanted.limit
    name = _metric_name(wanted.metric, wanted.target or target)
    return Cap(name, metrics[name], limit, relation)
