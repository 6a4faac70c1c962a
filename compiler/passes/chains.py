"""Which neighbouring kernels of a network could be one, and the plan that joins those that are cheaper joined.

A chain keeps the tensors between its operators in the cache, line by line. Whether that is faster is for
measurement to say, so the profiler prices both; here is only which chains there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from math import prod

from compiler.chain import chain_inputs, chain_of, join
from compiler.kernel import FP32_BYTES, Kernel
from compiler.passes.fuse import KernelCall, Plan
from compiler.target import Target

LONGEST = 3
"""Kernels in a chain: a convolution, a depthwise one, a pointwise one."""

Segment = tuple[int, ...]
"""The places of calls that follow one another."""


def chains(plan: Plan, target: Target) -> dict[Segment, KernelCall]:
    """The chains that may be worth joining, by the calls that they are made of.

    Neighbours are joined within one decision unit, and where nothing else reads the value between them.
    """
    following = _following(plan)
    found: dict[Segment, KernelCall] = {}
    for start in range(len(plan.calls)):
        segment: Segment = (start,)
        while len(segment) < LONGEST and segment[-1] in following:
            segment = (*segment, following[segment[-1]])
            if _crowds(plan, segment, target):
                call = _joined([plan.calls[place] for place in segment])
                if chain_of(call.kernel) is not None:
                    found[segment] = call
    return found


def chain_kernels(plan: Plan, target: Target) -> dict[str, Kernel]:
    """The kernels of a plan, joined and not, by signature."""
    joined = {call.kernel.signature: call.kernel for call in chains(plan, target).values()}
    return {**plan.kernels, **joined}


def counts(plan: Plan) -> dict[str, int]:
    """How many calls a plan has, of how many different kernels, and how many of the calls are chains."""
    chained = sum(chain_of(call.kernel) is not None for call in plan.calls)
    return {"calls": len(plan.calls), "kernels": len(plan.kernels), "chains": chained}


def cheapest(plan: Plan, options: Mapping[Segment, KernelCall], price: Callable[[str], float]) -> Plan:
    """The plan with those of the chains joined that make it cheapest.

    `price` is of one call, by its kernel's signature. Equal costs leave kernels apart.
    """
    follows = {after: before for before, after in _following(plan).items()}
    best: dict[int, tuple[float, tuple[Segment, ...]]] = {}
    for place, call in enumerate(plan.calls):
        before = best[follows[place]] if place in follows else (0.0, ())
        best[place] = before[0] + price(call.kernel.signature), (*before[1], (place,))
        for segment in [segment for segment in options if segment[-1] == place]:
            cost, earlier = best[follows[segment[0]]] if segment[0] in follows else (0.0, ())
            cost += price(options[segment].kernel.signature)
            if cost < best[place][0]:
                best[place] = cost, (*earlier, segment)
    ends = [place for place in best if place not in set(follows.values())]
    chosen = [segment for place in ends for segment in best[place][1]]
    calls = tuple(
        options[segment] if len(segment) > 1 else plan.calls[segment[0]]
        for segment in sorted(chosen, key=max)
    )
    kept = {*plan.inputs, *(call.output for call in calls)}
    types = {name: shape for name, shape in plan.types.items() if name in kept}
    return Plan(plan.inputs, calls, plan.output, types)


def _following(plan: Plan) -> dict[int, int]:
    """The call that alone reads what a call writes, as its first input, where both belong to the same unit."""
    readers = Counter(name for call in plan.calls for name in set(call.inputs))
    writer = {call.output: place for place, call in enumerate(plan.calls)}
    return {
        writer[call.inputs[0]]: place
        for place, call in enumerate(plan.calls)
        if call.inputs and call.inputs[0] in writer and call.inputs[0] != plan.output
        if readers[call.inputs[0]] == 1 and plan.calls[writer[call.inputs[0]]].unit == call.unit
    }


def _crowds(plan: Plan, segment: Segment, target: Target) -> bool:
    """Whether a value between the calls is larger than a core's second-level cache, and so is gone when it is read."""
    sizes = [prod(plan.types[plan.calls[place].output]) for place in segment[:-1]]
    return FP32_BYTES * max(sizes) > target.l2_bytes


def _joined(calls: list[KernelCall]) -> KernelCall:
    read, written = [call.inputs for call in calls], [call.output for call in calls]
    return KernelCall(
        join([call.kernel for call in calls], read, written),
        chain_inputs(read, written),
        written[-1],
        tuple(name for call in calls for name in call.nodes),
        calls[0].unit,
    )
