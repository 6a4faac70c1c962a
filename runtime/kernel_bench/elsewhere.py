"""What another program ran, as the kernels of a plan: which of its nodes compute the same, and for how long.

Another program cuts a network its own way: it takes an activation into the layer before it, a sum into a
convolution, an operator apart. The time of its nodes is a kernel's where they read what the kernel reads and those
that need the kernel's result read it of them. Else the kernel has no time there, and a reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from compiler.passes.fuse import Plan

JOINED = "computed together with a neighbouring layer, or cut otherwise"
SHORT = "shorter than the call from Python"
INPUT = -1
"""The place of a value that no call writes."""

Edge = tuple[int, int]
"""The places of two calls, the second of which reads what the first writes."""


@dataclass(frozen=True)
class Ran:
    """A node that a program ran, by its name there, and its time, `overhead_us` of which its caller spends.

    It computes the first of `values` that is a value of the network; `<value>/…` is a part of one. Where none is,
    it is no layer and hands on what it reads. `reads` are names of nodes; others are the network's inputs.
    """

    name: str
    values: tuple[str, ...]
    reads: tuple[str, ...]
    time_us: float
    overhead_us: float = 0.0


@dataclass(frozen=True)
class LayerTimes:
    """Microseconds by signature, one call each, and why a kernel has none; `between_us` of a run is in neither."""

    kernels_us: dict[str, float]
    absent: dict[str, str]
    between_us: float


def fastest(passes: Sequence[Sequence[Ran]]) -> list[Ran]:
    """The nodes of several runs, each with its least time: what disturbs only adds to it."""
    return [
        replace(each[0], time_us=min(node.time_us for node in each)) for each in zip(*passes, strict=True)
    ]


def matched(plan: Plan, nodes: Sequence[Ran]) -> LayerTimes:
    """The times of nodes, in the order they ran, as those of kernels: each the mean of its calls that are alike."""
    same = _same(plan)
    placed = _placed(plan, nodes, same)
    spent, overhead = defaultdict[int, float](float), defaultdict[int, float](float)
    for node, place in zip(nodes, placed, strict=True):
        if place is not None:
            spent[place] += node.time_us
            overhead[place] += node.overhead_us
    alike = _alike(_edges(plan, same), _edges_run(nodes, placed)) & spent.keys()
    of_kernel: dict[str, set[int]] = {signature: set() for signature in plan.kernels}
    for at, call in enumerate(plan.calls):
        of_kernel[call.kernel.signature].add(same[at])
    kernels_us, absent, counted = {}, {}, 0.0
    for signature, places in of_kernel.items():
        own = sorted(places & alike)
        net_us = float(np.mean([spent[at] - overhead[at] for at in own])) if own else 0.0
        if net_us > 0 and net_us >= np.mean([overhead[at] for at in own]):
            kernels_us[signature] = net_us
            counted += net_us * len(places)
        else:
            absent[signature] = SHORT if own else JOINED
    return LayerTimes(kernels_us, absent, max(0.0, sum(node.time_us for node in nodes) - counted))


def _same(plan: Plan) -> list[int]:
    """For each call the first that computes the same from the same: another program may compute it once."""
    writer = dict.fromkeys(plan.inputs, INPUT)
    first: dict[tuple[object, ...], int] = {}
    places = []
    for at, call in enumerate(plan.calls):
        read = tuple(writer[name] for name in call.inputs)
        own = call.nodes if call.kernel.weights else ()
        places.append(first.setdefault((call.kernel.signature, own, read), at))
        writer[call.output] = places[-1]
    return places


def _placed(plan: Plan, nodes: Sequence[Ran], same: Sequence[int]) -> list[int | None]:
    """The call that each node belongs to; None of one that is no layer."""
    calls = {name: same[at] for at, call in enumerate(plan.calls) for name in call.nodes}

    def place(node: Ran) -> int | None:
        found = (calls.get(name, calls.get(name.partition("/")[0])) for name in node.values)
        return next((at for at in found if at is not None), None)

    return [place(node) for node in nodes]


def _edges(plan: Plan, same: Sequence[int]) -> set[Edge]:
    """Who reads whom by the plan."""
    writer = {call.output: same[at] for at, call in enumerate(plan.calls)}
    return {(writer.get(name, INPUT), same[at]) for at, call in enumerate(plan.calls) for name in call.inputs}


def _edges_run(nodes: Sequence[Ran], placed: Sequence[int | None]) -> set[Edge]:
    """Who read whom; what is no layer stands for what it reads."""
    sources: dict[str, set[int]] = {}
    edges: set[Edge] = set()
    for node, place in zip(nodes, placed, strict=True):
        read = set[int]().union(*[sources.get(name, {INPUT}) for name in node.reads])
        sources[node.name] = read if place is None else {place}
        edges |= {(source, place) for source in read if place is not None and source != place}
    return edges


def _alike(expected: set[Edge], run: set[Edge]) -> set[int]:
    """The calls that read what they should, and nothing else, and that all their readers read."""
    places = {place for edge in expected for place in edge}
    differing = {reader for _, reader in expected ^ run} | {writer for writer, _ in expected - run}
    return places - differing
