"""Layer norm and softmax: what a place's channels have in common first, then each of them.

The variance is the mean of squared differences from the mean, in a second pass over the channels.

Parameters: `vectors` of channels in one turn of the loops.
"""

from __future__ import annotations

from collections.abc import Callable

from compiler.codegen.schedules.activation import exp
from compiler.codegen.schedules.emit import Emitter, Register, broadcast, number, offsets, round_up
from compiler.codegen.schedules.places import Site, Value, across, vector_candidates, write_channels
from compiler.codegen.schedules.template import (
    LINE_VALUES,
    LOWEST,
    Arguments,
    Array,
    Parameters,
    Weights,
    concatenate,
    image,
)
from compiler.codegen.schedules.tiles import channel_runs
from compiler.codegen.tvm_api import Expr, tirx
from compiler.kernel import Kernel
from compiler.target import Target

Join = Callable[[Expr, Expr], Expr]


class Rows:
    """The template of `layer_norm` and `softmax`."""

    name = "rows/1"
    operators = ("layer_norm", "softmax")

    def applies(self, kernel: Kernel) -> bool:
        """One of them first."""
        return kernel.steps[0].operator in self.operators

    def candidates(self, kernel: Kernel, target: Target) -> list[Parameters]:
        """A few vectors at a time."""
        return vector_candidates(image(kernel.output)[2], target.lanes)

    def emit(
        self, emitter: Emitter, kernel: Kernel, parameters: Parameters, target: Target, arguments: Arguments
    ) -> None:
        """Write the loop over places."""
        site, vectors = Site(emitter, kernel, arguments), parameters["vectors"]
        height, width, _ = image(kernel.output)
        prepare = _layer_norm if kernel.steps[0].operator == "layer_norm" else _softmax
        with emitter.loop(height * width, parallel=target.threads > 1) as pixel:
            value = prepare(site, pixel, vectors, target.lanes)
            write_channels(site, value, pixel, vectors, target.lanes)

    def pack(self, kernel: Kernel, parameters: Parameters, target: Target, weights: Weights) -> Array:
        """Scale, then shift."""
        return concatenate([weights[0, name] for name in ("weight", "bias") if (0, name) in weights])


def _layer_norm(site: Site, pixel: Expr, vectors: int, lanes: int) -> Value:
    emitter, channels = site.emitter, image(site.shape())[2]

    def element(channel: Expr, width: int) -> Expr:
        return site.load(pixel * channels + channel, width)

    def difference(channel: Expr, width: int) -> Expr:
        return emitter.let(element(channel, width) - broadcast(mean, width))

    def square(channel: Expr, width: int) -> Expr:
        return difference(channel, width) * difference(channel, width)

    share = number(1 / channels)
    mean = emitter.let(_joined(site, element, 0.0, _add, vectors, lanes) * share)
    variance = _joined(site, square, 0.0, _add, vectors, lanes) * share
    eps = number(float(site.step.settings["eps"]))
    factor = emitter.let(number(1.0) / tirx.sqrt(variance + eps))
    shift = round_up(channels, LINE_VALUES)

    def value(site: Site, pixel: Expr, channel: Expr, width: int) -> Expr:
        scale = site.weight(channel, width) * broadcast(factor, width)
        return difference(channel, width) * scale + site.weight(shift + channel, width)

    return value


def _softmax(site: Site, pixel: Expr, vectors: int, lanes: int) -> Value:
    emitter, channels = site.emitter, image(site.shape())[2]

    def element(channel: Expr, width: int) -> Expr:
        return site.load(pixel * channels + channel, width)

    def power(channel: Expr, width: int) -> Expr:
        return exp(emitter, element(channel, width) - broadcast(greatest, width), width)

    greatest = emitter.let(_joined(site, element, LOWEST, tirx.max, vectors, lanes))
    total = _joined(site, power, 0.0, _add, vectors, lanes)
    factor = emitter.let(number(1.0) / total)

    def value(site: Site, pixel: Expr, channel: Expr, width: int) -> Expr:
        return power(channel, width) * broadcast(factor, width)

    return value


def _add(one: Expr, other: Expr) -> Expr:
    return one + other


def _joined(
    site: Site, term: Callable[[Expr, int], Expr], start: float, join: Join, vectors: int, lanes: int
) -> Expr:
    """The terms of all channels joined: vector by vector in registers, then across them."""
    emitter, channels = site.emitter, image(site.shape())[2]
    result = number(start)
    for run in channel_runs(channels, vectors, lanes):
        parts: list[tuple[int, Register]] = [
            (at, emitter.register(number(start, width), width))
            for at, width in zip(offsets(run.widths), run.widths, strict=True)
        ]
        with emitter.loop(run.count) as block:
            first = emitter.let(run.start + block * run.block)
            for at, register in parts:
                register.set(join(register.get(), term(first + at, register.lanes)))
        for _, register in parts:
            result = join(result, across(emitter.let(register.get()), register.lanes, join))
    return emitter.let(result)


TEMPLATE = Rows()
