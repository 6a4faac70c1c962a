"""Which neighbours may be joined, and that the cheapest plan is the cheapest of all plans."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from compiler.architecture import only
from compiler.derive import derive
from compiler.frontend import space_of
from compiler.passes.chains import Segment, chain_kernels, chains, cheapest
from compiler.passes.flatten import flatten
from compiler.passes.fuse import Plan
from compiler.pricing import inference_plan
from dsl.source import Source
from tests.compiler.codegen.reference import AVX512

SMALL_CACHE = replace(AVX512, l2_bytes=1024)
TEXT = """
space s {
    input [3, 16, 16]
    output [10]
    conv(8, 3) -> relu
    -> residual { conv(24, 1) -> relu6 -> depthwise(3) -> relu6 -> conv(8, 1) }
    -> depthwise(3) -> conv(16, 1) -> depthwise(5) -> conv(12, 1) -> relu
    -> global_pool -> linear(10)
}
"""


def plan_of(text: str) -> Plan:
    space = space_of(Source("s.space", text))
    return inference_plan(derive(flatten(space), only(space).choices))


def test_neighbours_are_joined_where_one_alone_reads_the_other() -> None:
    plan = plan_of(TEXT)
    operators = [call.kernel.steps[0].operator for call in plan.calls]
    assert operators == [
        "conv",
        "conv",
        "depthwise",
        "conv",
        "depthwise",
        "conv",
        "depthwise",
        "conv",
        "global_pool",
        "linear",
    ]
    found = chains(plan, SMALL_CACHE)
    # Call 0 is read by the residual too, and call 3 ends with it: neither can be the first of a chain.
    assert set(found) == {(1, 2), (1, 2, 3), (2, 3), (4, 5), (5, 6), (5, 6, 7), (6, 7)}
    assert found[1, 2, 3].inputs == plan.calls[1].inputs
    assert not chains(plan, AVX512), "what fits into the cache is left apart"


def test_the_kernels_of_a_plan_are_joined_and_apart() -> None:
    plan = plan_of(TEXT)
    assert set(chain_kernels(plan, SMALL_CACHE)) == set(plan.kernels) | {
        call.kernel.signature for call in chains(plan, SMALL_CACHE).values()
    }


def segmentations(place: int, count: int, options: set[Segment]) -> Iterator[tuple[Segment, ...]]:
    """All ways to cut the calls from `place` on."""
    if place == count:
        yield ()
        return
    for segment in [(place,), *[each for each in options if each[0] == place]]:
        for rest in segmentations(segment[-1] + 1, count, options):
            yield (segment, *rest)


@pytest.mark.parametrize("seed", range(20))
def test_no_other_way_to_join_is_cheaper(seed: int) -> None:
    plan, stream = plan_of(TEXT), random.Random(seed)
    options = chains(plan, SMALL_CACHE)
    prices = {signature: stream.random() for signature in plan.kernels}
    prices |= {call.kernel.signature: stream.uniform(0, 2) for call in options.values()}

    def cost(segments: tuple[Segment, ...]) -> float:
        calls = [options[s] if len(s) > 1 else plan.calls[s[0]] for s in segments]
        return sum(prices[call.kernel.signature] for call in calls)

    chosen = cheapest(plan, options, prices.__getitem__)
    best = min(cost(segments) for segments in segmentations(0, len(plan.calls), set(options)))
    assert sum(prices[call.kernel.signature] for call in chosen.calls) == pytest.approx(best)
    assert [name for call in chosen.calls for name in call.nodes] == [
        n for call in plan.calls for n in call.nodes
    ]
    assert set(chosen.types) == {*plan.inputs, *(call.output for call in chosen.calls)}


def test_equal_costs_leave_kernels_apart() -> None:
    plan = plan_of(TEXT)
    assert cheapest(plan, chains(plan, SMALL_CACHE), lambda signature: 0.0) == plan


def test_a_missing_price_is_named() -> None:
    with pytest.raises(KeyError, match="f32 nhwc"):
        cheapest(plan_of(TEXT), {}, {}.__getitem__)
