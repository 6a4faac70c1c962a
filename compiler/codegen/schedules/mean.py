"""Global average pooling: the mean of every channel, vectors of channels in registers.

Parameters: `vectors` of channels at a time; `split` pixels summed apart, so that additions do not wait for
one another.
"""

from __future__ import annotations

import operator

from compiler.codegen.schedules.emit import Emitter, Register, load, number, offsets
from compiler.codegen.schedules.template import (
    LOWEST,
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
from compiler.codegen.schedules.tiles import ChannelRun, channel_runs
from compiler.codegen.tvm_api import Expr, tirx
from compiler.kernel import Kernel
from compiler.target import Target


class Mean:
    """The template of `global_pool` and `global_max_pool`."""

    name = "mean/1"
    operators = ("global_pool", "global_max_pool")

    def applies(self, kernel: Kernel) -> bool:
        """A global pooling first."""
        return kernel.steps[0].operator in self.operators

    def candidates(self, kernel: Kernel, target: Target) -> list[Parameters]:
        """About eight sums at a time."""
        height, width, channels = image(kernel.inputs[0])
        most = -(-channels // target.lanes)
        pairs = [(4, 2), (2, 4), (8, 1), (1, 8), (4, 4), (8, 2), (4, 1), (2, 1), (1, 1)]
        return [
            {"vectors": vectors, "split": split}
            for vectors, split in pairs
            if vectors <= most and split <= height * width
        ]

    def emit(
        self, emitter: Emitter, kernel: Kernel, parameters: Parameters, target: Target, arguments: Arguments
    ) -> None:
        """Write the loop over blocks of channels."""
        channels = image(kernel.inputs[dissect(kernel).main])[2]
        for run in channel_runs(channels, parameters["vectors"], target.lanes):
            with emitter.loop(run.count, parallel=target.threads > 1) as block:
                channel = emitter.let(run.start + block * run.block)
                self._block(emitter, kernel, parameters["split"], arguments, run, channel)

    def _block(
        self,
        emitter: Emitter,
        kernel: Kernel,
        split: int,
        arguments: Arguments,
        run: ChannelRun,
        channel: Expr,
    ) -> None:
        anatomy = dissect(kernel)
        height, width, channels = image(kernel.inputs[anatomy.main])
        source = arguments.inputs[anatomy.main]
        greatest = kernel.steps[0].operator == "global_max_pool"
        join = tirx.max if greatest else operator.add
        sums = [self._first(emitter, run, LOWEST if greatest else 0.0) for _ in range(split)]

        def add(pixel: Expr, part: dict[int, Register]) -> None:
            for start, register in part.items():
                value = load(source, pixel * channels + channel + start, register.lanes)
                register.set(join(register.get(), value))

        full, rest = divmod(height * width, split)
        with emitter.loop(full) as turn:
            for index, part in enumerate(sums):
                add(turn * split + index, part)
        for index in range(rest):
            add(full * split + index, sums[index])
        for start, register in sums[0].items():
            lanes = register.lanes
            total = register.get()
            for part in sums[1:]:
                total = join(total, part[start].get())
            mean = emitter.let(total if greatest else total * number(1 / (height * width), lanes))
            place = emitter.let(channel + start)

            def read(index: int, place: Expr = place, lanes: int = lanes) -> Expr:
                return read_at(kernel, arguments, index, place, lanes)

            result = apply_epilogue(emitter, anatomy, mean, lanes, read)
            emitter.store(arguments.output, place, result, lanes)

    def _first(self, emitter: Emitter, run: ChannelRun, value: float) -> dict[int, Register]:
        return {
            start: emitter.register(number(value, lanes), lanes)
            for start, lanes in zip(offsets(run.widths), run.widths, strict=True)
        }

    def pack(self, kernel: Kernel, parameters: Parameters, target: Target, weights: Weights) -> Array:
        """Nothing."""
        return concatenate([])


TEMPLATE = Mean()
