"""Concatenation of channels: every operand's pixels copied to their place in the result.

Parameters: `vectors` copied in one turn of the loop.
"""

from __future__ import annotations

from compiler.codegen.schedules.emit import Emitter, load, offsets
from compiler.codegen.schedules.template import (
    Arguments,
    Array,
    Parameters,
    Weights,
    apply_epilogue,
    concatenate,
    dissect,
    image,
    read_at,
)
from compiler.codegen.schedules.tiles import channel_runs
from compiler.codegen.tvm_api import Expr
from compiler.kernel import Kernel
from compiler.target import Target


class Concat:
    """The template of `concat`."""

    name = "concat/1"
    operators = ("concat",)

    def applies(self, kernel: Kernel) -> bool:
        """A concatenation first."""
        return kernel.steps[0].operator in self.operators

    def candidates(self, kernel: Kernel, target: Target) -> list[Parameters]:
        """A few vectors at a time."""
        most = max(-(-image(shape)[2] // target.lanes) for shape in kernel.inputs)
        return [{"vectors": vectors} for vectors in (4, 2, 8, 1) if vectors <= most]

    def emit(
        self, emitter: Emitter, kernel: Kernel, parameters: Parameters, target: Target, arguments: Arguments
    ) -> None:
        """Write one loop nest over the pixels: the operands' channels one after another."""
        height, width, _ = image(kernel.output)
        with emitter.loop(height * width, parallel=target.threads > 1) as pixel:
            first = 0
            for operand in kernel.steps[0].operands:
                self._operand(emitter, kernel, parameters, target, arguments, operand, pixel, first)
                first += image(kernel.inputs[operand])[2]

    def _operand(
        self,
        emitter: Emitter,
        kernel: Kernel,
        parameters: Parameters,
        target: Target,
        arguments: Arguments,
        operand: int,
        pixel: Expr,
        first: int,
    ) -> None:
        channels, out = image(kernel.inputs[operand])[2], image(kernel.output)[2]
        for run in channel_runs(channels, parameters["vectors"], target.lanes):
            with emitter.loop(run.count) as block:
                channel = emitter.let(run.start + block * run.block)
                for start, lanes in zip(offsets(run.widths), run.widths, strict=True):
                    source = pixel * channels + channel + start
                    value = emitter.let(load(arguments.inputs[operand], source, lanes))
                    place = emitter.let(pixel * out + first + channel + start)

                    def read(index: int, place: Expr = place, lanes: int = lanes) -> Expr:
                        return read_at(kernel, arguments, index, place, lanes)

                    result = apply_epilogue(emitter, dissect(kernel), value, lanes, read)
                    emitter.store(arguments.output, place, result, lanes)

    def pack(self, kernel: Kernel, parameters: Parameters, target: Target, weights: Weights) -> Array:
        """Nothing."""
        return concatenate([])


TEMPLATE = Concat()
