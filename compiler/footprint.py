"""How much memory kernels read and networks touch: what passes through the caches."""

from __future__ import annotations

from math import prod

from compiler.kernel import FP32_BYTES, Kernel
from compiler.passes.fuse import Plan

FOOTPRINT_BYTES = 2 << 20
"""Where nothing better is known."""


def constant_bytes(kernel: Kernel) -> int:
    """Bytes of a kernel's weights and biases."""
    return FP32_BYTES * sum(prod(shape) for _, _, shape in kernel.weights)


def footprint(plan: Plan) -> int:
    """Bytes that one run of a network touches: all constants, and its two largest neighbouring values."""
    constants = sum(constant_bytes(call.kernel) for call in plan.calls)
    values = max(sum(map(prod, (*call.kernel.inputs, call.kernel.output))) for call in plan.calls)
    return constants + FP32_BYTES * values
