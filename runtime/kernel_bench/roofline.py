"""How fast a kernel could be at best: the roofline of Williams et al. ("Roofline", 2009) with a roof a level.

The least time of a kernel is that of its arithmetic at the machine's peak, or that of moving its tensors,
whichever is longer. In a network the inputs have just been written and the result goes where an earlier
one was, so both come from the nearest level that holds them together; the constants come from the nearest
level that holds those of the whole network, since all of them are read between two runs of a kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from compiler.kernel import FP32_BYTES, Kernel
from compiler.passes.fuse import Plan
from runtime.kernel_bench.limits import Level, Limits

ARITHMETIC = "arithmetic"


@dataclass(frozen=True)
class Bound:
    """The least time of a kernel in nanoseconds, and what it is of: arithmetic, or moving its tensors.

    `values` and `constants` are the levels that its inputs and result, and its constants, come from.
    """

    flops: int
    value_bytes: int
    result_bytes: int
    constant_bytes: int
    values: Level
    constants: Level
    peak_gflops: float

    @property
    def arithmetic_ns(self) -> float:
        """The time of the arithmetic at the peak."""
        return self.flops / self.peak_gflops

    @property
    def moving_ns(self) -> float:
        """The time of reading as many bytes as cross the levels."""
        return self.value_bytes / self.values.gb_s + self.constant_bytes / self.constants.gb_s

    @property
    def time_ns(self) -> float:
        """The least time of the kernel."""
        return max(self.arithmetic_ns, self.moving_ns)

    @property
    def limit(self) -> str:
        """What binds it: `arithmetic`, or the levels that most of the time of moving is of."""
        if self.arithmetic_ns >= self.moving_ns:
            return ARITHMETIC
        constants_ns = self.constant_bytes / self.constants.gb_s
        return self.constants.name if constants_ns > self.moving_ns / 2 else self.values.name

    @property
    def intensity(self) -> float:
        """Arithmetic intensity: operations a byte moved."""
        return self.flops / (self.value_bytes + self.constant_bytes)


def bound_of(kernel: Kernel, limits: Limits, network_constant_bytes: int) -> Bound:
    """The bound of a kernel in a network with so many bytes of constants; operations on padding do not count."""
    constant_bytes = _constant_bytes(kernel)
    value_bytes = kernel.bytes_moved - constant_bytes
    return Bound(
        2 * kernel.arithmetic_macs,
        value_bytes,
        FP32_BYTES * prod(kernel.output),
        constant_bytes,
        limits.holding(value_bytes),
        limits.holding(network_constant_bytes),
        limits.peak_gflops,
    )


def network_constants(plan: Plan) -> int:
    """Bytes of the constants that one run of a network reads."""
    return sum(_constant_bytes(call.kernel) for call in plan.calls)


def _constant_bytes(kernel: Kernel) -> int:
    return FP32_BYTES * sum(prod(shape) for _, _, shape in kernel.weights)
