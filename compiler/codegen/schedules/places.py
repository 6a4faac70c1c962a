"""Writing a kernel place by place: for each pixel or token of the result, its channels in vectors.

A *value* says what the kernel's first step makes at a pixel, from a channel on, in so many lanes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from compiler.codegen.schedules.emit import Emitter, load, offsets
from compiler.codegen.schedules.template import (
    Arguments,
    Parameters,
    apply_epilogue,
    dissect,
    image,
    read_at,
)
from compiler.codegen.schedules.tiles import channel_runs
from compiler.codegen.tvm_api import Expr, tirx
from compiler.ir.types import Dimensions
from compiler.kernel import Kernel, Step


@dataclass(frozen=True, slots=True)
class Site:
    """A kernel with an anchor that is being written."""

    emitter: Emitter
    kernel: Kernel
    arguments: Arguments

    @property
    def step(self) -> Step:
        """The first step."""
        return self.kernel.steps[0]

    def shape(self, index: int = 0) -> Dimensions:
        """The dimensions of an operand of the first step."""
        return self.kernel.inputs[self.step.operands[index]]

    @property
    def result(self) -> Dimensions:
        """The dimensions of its result."""
        return self.kernel.output

    def load(self, offset: Expr, lanes: int = 1, index: int = 0) -> Expr:
        """Values of an operand of the first step."""
        return load(self.arguments.inputs[self.step.operands[index]], offset, lanes)

    def weight(self, offset: Expr, lanes: int = 1) -> Expr:
        """Values of the packed constants."""
        return load(self.arguments.weights, offset, lanes)


Value = Callable[[Site, Expr, Expr, int], Expr]
"""(site, pixel, first channel, lanes) -> what the first step makes there."""


def vector_candidates(channels: int, lanes: int) -> list[Parameters]:
    """A few vectors in one turn of the loop."""
    most = -(-channels // lanes)
    return [{"vectors": vectors} for vectors in (4, 2, 8, 1) if vectors <= most]


def write_places(site: Site, value: Value | None, vectors: int, lanes: int, *, parallel: bool) -> None:
    """Loops over all places; `value` is None where all steps are elementwise."""
    height, width, _ = image(site.result)
    with site.emitter.loop(height * width, parallel=parallel) as pixel:
        write_channels(site, value, pixel, vectors, lanes)


def write_channels(site: Site, value: Value | None, pixel: Expr, vectors: int, lanes: int) -> None:
    """All channels of one place."""
    emitter = site.emitter
    channels = image(site.result)[2]
    for run in channel_runs(channels, vectors, lanes):
        with emitter.loop(run.count) as block:
            first = emitter.let(run.start + block * run.block)
            for start, width in zip(offsets(run.widths), run.widths, strict=True):
                here = None if value is None else emitter.let(value(site, pixel, first + start, width))
                finish(site, here, pixel * channels + first + start, width)


def finish(site: Site, value: Expr, where: Expr, lanes: int) -> None:
    """The other steps on what the first makes at `where`, and its place in the result."""
    place = site.emitter.let(where)

    def read(index: int) -> Expr:
        return read_at(site.kernel, site.arguments, index, place, lanes)

    result = apply_epilogue(site.emitter, dissect(site.kernel), value, lanes, read)
    site.emitter.store(site.arguments.output, place, result, lanes)


def across(value: Expr, lanes: int, join: Callable[[Expr, Expr], Expr]) -> Expr:
    """All lanes of a vector joined into one value."""
    if lanes == 1:
        return value
    return reduce(join, [tirx.Shuffle([value], [tirx.const(lane, "int32")]) for lane in range(lanes)])
