"""The vector operations of a kernel that are no multiply-accumulates: activations, sums, what pools compare and add.

They keep the same units busy as the multiply-adds do, one operation a vector, but a roofline's arithmetic does not
count them. Of exponentials the polynomial's length is taken, which differs from one compiler to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from compiler.ir.ops import pair
from compiler.kernel import Kernel, Step

EXPONENTIAL = 16
PER_VALUE: Mapping[str, int] = {
    "relu": 1,
    "relu6": 2,
    "leaky_relu": 2,
    "hsigmoid": 4,
    "hswish": 5,
    "sigmoid": EXPONENTIAL + 2,
    "swish": EXPONENTIAL + 3,
    "tanh": EXPONENTIAL + 4,
    "elu": EXPONENTIAL + 3,
    "gelu": EXPONENTIAL + 6,
    "softmax": EXPONENTIAL + 3,
    "layer_norm": 6,
    "layer_scale": 1,
    "position_embedding": 1,
}
"""Operations for each value of the result; others have none but those of `operations`."""


def operations(kernel: Kernel) -> int:
    """How many there are in a run of a kernel."""
    return sum(_of_step(kernel, index, step) for index, step in enumerate(kernel.steps))


def _of_step(kernel: Kernel, index: int, step: Step) -> int:
    values = prod(kernel.values[len(kernel.inputs) + index])
    if step.operator in ("add", "mul"):
        return values * (len(step.operands) - 1)
    if step.operator in ("max_pool", "avg_pool"):
        return values * prod(pair(step.settings, "kernel"))
    if step.operator in ("global_pool", "global_max_pool"):
        return prod(kernel.values[step.operands[0]])
    return values * PER_VALUE.get(step.operator, 0)
