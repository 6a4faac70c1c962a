"""Why a kernel stays far under its bound: what was measured, checked one after another; what is left is its code."""

from __future__ import annotations

from compiler.kernel import Kernel
from compiler.target import Target
from runtime.kernel_bench.limits import L2
from runtime.kernel_bench.operations import operations
from runtime.kernel_bench.roofline import Bound

NEEDS_REASON = 0.5
"""A kernel under this share of its bound needs a reason; a reason is one if it brings the share up to that."""
PRODUCTS = ("conv", "depthwise", "conv_transpose", "linear", "matmul")
"""Operators of multiply-accumulates alone."""


def reason_of(
    kernel: Kernel, bound: Bound, time_ns: float, alone_ns: float, least_ns: float, target: Target
) -> str:
    """The reason why a kernel takes `time_ns` in a network, more than twice its bound.

    `alone_ns` is its time with all that it reads in its caches, `least_ns` that of a kernel which does next to
    nothing, in the same company: the call, its code out of the caches, the clock.
    """
    needed = bound.time_ns / NEEDS_REASON
    if time_ns - least_ns <= needed:
        return f"short: {_us(least_ns)} us go into any call in a network"
    if alone_ns <= needed:
        return (
            f"cold: {_us(alone_ns)} us with all in its caches, which the others of the network displace "
            f"({_kib(bound.constant_bytes)} KiB of constants, {_kib(bound.value_bytes)} KiB of values)"
        )
    if alone_ns - least_ns <= needed:
        return (
            f"short and cold: {_us(alone_ns)} us with all in its caches, and {_us(least_ns)} us of that "
            "go into any call in a network"
        )
    return (
        _of_writes(bound, time_ns, target)
        or _of_operations(kernel, bound, time_ns)
        or _of_lanes(kernel, time_ns, needed, target)
        or f"its code: {_us(alone_ns)} us even by itself with all in its caches"
    )


def _of_writes(bound: Bound, time_ns: float, target: Target) -> str:
    """Where each line of the result crosses three times: read, written, evicted."""
    in_l2 = bound.values.name == L2
    if in_l2 and bound.result_bytes <= target.l1_bytes * target.threads:
        return ""
    moving_ns = bound.moving_ns + 2 * bound.result_bytes / bound.values.gb_s
    if NEEDS_REASON * time_ns > max(bound.arithmetic_ns, moving_ns):
        return ""
    level = "L1" if in_l2 else L2
    return f"its result, {_kib(bound.result_bytes)} KiB, leaves the {level}: its lines are read, then written back"


def _of_operations(kernel: Kernel, bound: Bound, time_ns: float) -> str:
    """Where what is no multiply-accumulate keeps the arithmetic units busy, too: as long as one for each."""
    count = operations(kernel)
    more_ns = 2 * count / bound.peak_gflops
    if NEEDS_REASON * time_ns > max(bound.arithmetic_ns + more_ns, bound.moving_ns):
        return ""
    names = " and ".join(
        dict.fromkeys(step.operator for step in kernel.steps if step.operator not in PRODUCTS)
    )
    return f"its {names}: {_us(more_ns)} us of operations that are no multiply-accumulates"


def _of_lanes(kernel: Kernel, time_ns: float, needed: float, target: Target) -> str:
    filled = _filled(kernel, target)
    if time_ns * filled > needed:
        return ""
    return f"its {kernel.output[0]} channels fill {filled:.0%} of the vectors"


def _filled(kernel: Kernel, target: Target) -> float:
    """The share of the vectors over the result's channels that holds values."""
    channels = kernel.output[0]
    return channels / (-(-channels // target.lanes) * target.lanes)


def _us(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e3:.3g}"


def _kib(size_bytes: int) -> str:
    return f"{size_bytes / 1024:,.0f}"
