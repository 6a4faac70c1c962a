"""Chains around a depthwise convolution, for tests."""

from __future__ import annotations

from compiler.chain import join
from compiler.ir.types import Dimensions
from compiler.kernel import Kernel
from tests.compiler.codegen.reference import conv, depthwise


def chain_parts(
    shape: Dimensions,
    middle: int = 0,
    out: int = 0,
    size: int = 3,
    stride: int = 1,
    *,
    first: tuple[int, int] = (1, 1),
    activation: str = "relu6",
    residual: bool = False,
) -> list[Kernel]:
    """The kernels: a convolution to `middle` channels where that is not 0, a depthwise one, a pointwise one to
    `out` channels where that is not 0. `first` is the kernel and the stride of the first."""
    parts = [conv(shape, middle, first[0], activation, stride=first[1])] if middle else []
    parts.append(depthwise(parts[0].output if parts else shape, size, activation, stride=stride))
    if out:
        parts.append(conv(parts[-1].output, out, residual=residual))
    return parts


def chained(parts: list[Kernel]) -> Kernel:
    """The parts as one kernel; a residual of the last is the chain's own input."""
    reads = [["x"] if index == 0 else [str(index - 1)] for index in range(len(parts))]
    if len(parts[-1].inputs) == 2:
        reads[-1].append("x")
    return join(parts, reads, [str(index) for index in range(len(parts))])


CHAINS = [
    chain_parts((16, 13, 11), 40, 24),
    chain_parts((24, 14, 15), 72, 24, 5, residual=True),
    chain_parts((8, 9, 17), 20, 12, 3, 2),
    chain_parts((8, 16, 16), 33, 12, 7, 2),
    chain_parts((8, 12, 12), 24),
    chain_parts((24, 12, 13), 0, 10, 5),
    chain_parts((3, 33, 33), 16, 8, first=(3, 2)),
    chain_parts((8, 6, 6), 16, 8, 2, 2),
    chain_parts((8, 1, 5), 16, 8),
    chain_parts((8, 2, 3), 16, 8, 5, activation="hswish", residual=True),
]
"""Awkward sizes: channels that fill no vector, images smaller than the window, windows that just abut."""
