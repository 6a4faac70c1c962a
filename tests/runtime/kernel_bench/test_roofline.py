"""The bound of a kernel is the longer of its arithmetic and of moving its tensors, each from where it lies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.kernel import Kernel, parse
from compiler.target import Target
from runtime.kernel_bench.limits import cache_sizes, read_bytes
from runtime.kernel_bench.operations import operations
from runtime.kernel_bench.reasons import NEEDS_REASON, reason_of
from runtime.kernel_bench.roofline import bound_of
from tests.runtime.kernel_bench.reports import LIMITS

CONV = parse(
    "f32 nhwc (64x14x14) conv(%0, out=384, kernel=1, stride=1, padding=0, dilation=1, groups=1, bias=true)"
)
LINEAR = parse("f32 nhwc (1280) linear(%0, out=1000, bias=true)")
POOL = parse("f32 nhwc (1280x7x7) global_pool(%0)")
WIDE = parse(
    "f32 nhwc (24x112x112) conv(%0, out=24, kernel=1, stride=1, padding=0, dilation=1, groups=1, bias=true)"
)
TARGET = Target("host", "znver4", "x86_64-unknown-linux-gnu", vector_bits=512, registers=32)


def test_a_convolution_is_bound_by_arithmetic() -> None:
    bound = bound_of(CONV, LIMITS, 14 << 20)
    assert bound.flops == 2 * 64 * 384 * 14 * 14
    assert bound.time_ns == pytest.approx(bound.flops / 100.0)
    assert (bound.limit, bound.values.name, bound.constants.name) == ("arithmetic", "L2", "L3")
    assert bound.intensity == pytest.approx(bound.flops / CONV.bytes_moved)


def test_a_linear_layer_is_bound_by_where_its_constants_lie() -> None:
    constants, values = 4 * (1280 * 1000 + 1000), 4 * (1280 + 1000)
    near = bound_of(LINEAR, LIMITS, 14 << 20)
    assert near.time_ns == pytest.approx(constants / 50.0 + values / 100.0)
    assert near.limit == "L3"
    far = bound_of(LINEAR, LIMITS, 64 << 20)
    assert far.time_ns == pytest.approx(constants / 10.0 + values / 100.0)
    assert far.limit == "memory"


def test_values_come_from_the_level_that_holds_them_together() -> None:
    assert bound_of(POOL, LIMITS, 0).values.name == "L2"
    wide = bound_of(WIDE, LIMITS, 0)
    assert wide.value_bytes == 2 * 4 * 24 * 112 * 112
    assert wide.values.name == "L3"


def test_a_level_is_read_where_it_surely_is() -> None:
    mib = 1 << 20
    assert cache_sizes(mib, 32 * mib) == {"L2": mib, "L3": 32 * mib}
    assert cache_sizes(2 * mib, mib) == {"L2": 2 * mib}, "no L3, or one that is smaller"
    assert (read_bytes(mib, mib), read_bytes(4 * mib, mib)) == (mib // 2, 2 * mib)
    assert read_bytes(260 * mib, 4 * mib) == 12 * mib, "a virtual machine has but a part of such an L3"


def test_reasons_are_checked_one_after_another() -> None:
    bound = bound_of(CONV, LIMITS, 14 << 20)
    time_ns = 2.5 * bound.time_ns
    assert reason_of(CONV, bound, time_ns, time_ns, 0.6 * bound.time_ns, TARGET).startswith(
        "short: 57.8 us go"
    )
    cold = reason_of(CONV, bound, time_ns, 1.5 * bound.time_ns, 100.0, TARGET)
    assert cold.startswith("cold: 145 us with all in its caches")
    assert "98 KiB of constants, 343 KiB of values" in cold
    both = reason_of(CONV, bound, time_ns, 2.2 * bound.time_ns, 0.3 * bound.time_ns, TARGET)
    assert both.startswith("short and cold: 212 us with all in its caches, and 28.9 us of that")
    code = reason_of(CONV, bound, time_ns, time_ns, 100.0, TARGET)
    assert code == "its code: 241 us even by itself with all in its caches"


def test_writing_and_half_filled_vectors_are_reasons() -> None:
    bound = bound_of(WIDE, replace(LIMITS, peak_gflops=1e4), 0)
    three_ways = bound.moving_ns + 2 * bound.result_bytes / 50.0
    said = reason_of(WIDE, bound, 2 * three_ways, 2 * three_ways, 100.0, TARGET)
    assert said == "its result, 1,176 KiB, leaves the L2: its lines are read, then written back"
    bound = bound_of(WIDE, LIMITS, 0)
    time_ns = 2.6 * bound.time_ns
    assert (
        reason_of(WIDE, bound, time_ns, time_ns, 100.0, TARGET) == "its 24 channels fill 75% of the vectors"
    )


def test_a_result_that_is_larger_than_the_l1_is_written_three_times_as_well() -> None:
    gate = parse("f32 nhwc (72x16x16 72) mul(%0, %1)")
    bound = bound_of(gate, LIMITS, 0)
    assert bound.values.name == "L2"
    time_ns = 3 * bound.time_ns
    said = reason_of(gate, bound, time_ns, time_ns, 1.0, TARGET)
    assert said == "its result, 72 KiB, leaves the L1: its lines are read, then written back"
    roomy = replace(TARGET, l1_bytes=72 << 10)
    assert not reason_of(gate, bound, time_ns, time_ns, 1.0, roomy).startswith("its result")


def test_what_is_no_multiply_accumulate_is_a_reason() -> None:
    gated = parse(
        "f32 nhwc (48x16x16) depthwise(%0, kernel=3, stride=1, padding=1, dilation=1, bias=true); hswish(%1)"
    )
    assert operations(gated) == 5 * 48 * 16 * 16
    bound = bound_of(gated, LIMITS, 0)
    more_ns = 2 * operations(gated) / 100.0
    time_ns = 1.9 * (bound.arithmetic_ns + more_ns)
    said = reason_of(gated, bound, time_ns, time_ns, 1.0, replace(TARGET, l1_bytes=1 << 20))
    assert said == "its hswish: 1.23 us of operations that are no multiply-accumulates"


@pytest.mark.parametrize(
    ("signature", "count"),
    [
        ("f32 nhwc (8x4x4 8x4x4) add(%0, %1); relu6(%2)", 3 * 128),
        ("f32 nhwc (8x4x4) avg_pool(%0, kernel=2, stride=2, padding=0)", 4 * 32),
        ("f32 nhwc (8x4x4) global_pool(%0)", 128),
        ("f32 nhwc (8) linear(%0, out=4, bias=true)", 0),
    ],
)
def test_operations_are_counted_by_what_is_computed(signature: str, count: int) -> None:
    assert operations(parse(signature)) == count


@pytest.mark.parametrize("slow", [2.001, 2.5, 4.0, 20.0])
@pytest.mark.parametrize("share_alone", [0.1, 0.6, 1.0])
@pytest.mark.parametrize("kernel", [CONV, LINEAR, POOL, WIDE], ids=["conv", "linear", "pool", "wide"])
@pytest.mark.parametrize("cpu", ["znver4", "sapphirerapids"])
def test_every_kernel_under_half_of_its_bound_has_a_reason(
    kernel: Kernel, slow: float, share_alone: float, cpu: str
) -> None:
    """On two processors: one whose L2 is larger than its share of the L3, and one where it is the other way round."""
    levels = (
        LIMITS.levels
        if cpu == "znver4"
        else (replace(LIMITS.levels[0], size_bytes=2 << 20), *LIMITS.levels[1:])
    )
    bound = bound_of(kernel, replace(LIMITS, levels=levels), 14 << 20)
    time_ns = slow * bound.time_ns
    assert bound.time_ns < NEEDS_REASON * time_ns
    said = reason_of(kernel, bound, time_ns, share_alone * time_ns, 50.0, replace(TARGET, cpu=cpu))
    assert said
    assert "unexplained" not in said
