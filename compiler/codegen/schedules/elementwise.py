"""Kernels without an anchor: activations, sums and products of whole tensors, one pass over memory.

Parameters: `vectors` in flight in one turn of the loop.
"""

from __future__ import annotations

from math import prod

from compiler.codegen.schedules.emit import Emitter, load, offsets, split_lanes
from compiler.codegen.schedules.template import (
    ELEMENTWISE,
    Arguments,
    Array,
    Parameters,
    Weights,
    apply_epilogue,
    concatenate,
    dissect,
)
from compiler.codegen.tvm_api import Expr
from compiler.kernel import Kernel
from compiler.target import Target


class Elementwise:
    """The template of kernels whose steps are all elementwise."""

    name = "elementwise/1"
    operators = ELEMENTWISE

    def applies(self, kernel: Kernel) -> bool:
        """No anchor, and all inputs of the result's type."""
        return dissect(kernel).anchor is None and set(kernel.inputs) == {kernel.output}

    def candidates(self, kernel: Kernel, target: Target) -> list[Parameters]:
        """A few vectors at a time."""
        size = prod(kernel.output)
        fitting = [vectors for vectors in (4, 2, 8, 1) if vectors * target.lanes <= size]
        return [{"vectors": vectors} for vectors in fitting or [1]]

    def emit(
        self, emitter: Emitter, kernel: Kernel, parameters: Parameters, target: Target, arguments: Arguments
    ) -> None:
        """Write the loop and what is left of it."""
        anatomy = dissect(kernel)

        def write(start: Expr, widths: tuple[int, ...]) -> None:
            for offset, lanes in zip(offsets(widths), widths, strict=True):
                place = emitter.let(start + offset)

                def read(index: int, place: Expr = place, lanes: int = lanes) -> Expr:
                    return load(arguments.inputs[index], place, lanes)

                result = apply_epilogue(emitter, anatomy, None, lanes, read)
                emitter.store(arguments.output, place, result, lanes)

        widths = (target.lanes,) * parameters["vectors"]
        block = sum(widths)
        full, rest = divmod(prod(kernel.output), block)
        if full:
            with emitter.loop(full, parallel=target.threads > 1) as turn:
                write(turn * block, widths)
        if rest:
            write(full * block, split_lanes(rest, target.lanes))

    def pack(self, kernel: Kernel, parameters: Parameters, target: Target, weights: Weights) -> Array:
        """Nothing."""
        return concatenate([])


TEMPLATE = Elementwise()
