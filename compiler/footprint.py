"""How much memory a network touches between two runs of one of its kernels: what its caches are full of."""

from __future__ import annotations

from math import prod

from compiler.kernel import FP32_BYTES
from compiler.passes.fuse import Plan

FOOTPRINT_BYTES = 2 << 20
"""Where nothing better is known."""


def footprint(plan: Plan) -> int:
    """Bytes that one run of a network touches: all constants, and its two largest neighbouring values."""
    constants = sum(prod(shape) for call in plan.calls for _, _, shape in call.kernel.weights)
    values = max(sum(map(prod, (*call.kernel.inputs, call.kernel.output))) for call in plan.calls)
    return FP32_BYTES * (constants + values)
