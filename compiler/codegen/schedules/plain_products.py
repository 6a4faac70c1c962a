"""Sums of products in their plainest form: transposed convolutions, and products of two values."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.codegen.schedules.emit import Register, broadcast, number, round_up
from compiler.codegen.schedules.places import Site, Value
from compiler.codegen.schedules.template import LINE_VALUES, Array, Weights, image, setting
from compiler.codegen.tvm_api import Expr, tirx
from compiler.kernel import Step


def _matmul(site: Site, pixel: Expr, channel: Expr, lanes: int) -> Expr:
    """A row of the first operand times vectors of columns of the second."""
    (_, inner), (_, channels) = site.shape(), site.shape(1)
    total = site.emitter.register(number(0.0, lanes), lanes)
    with site.emitter.loop(inner) as at:
        row = broadcast(site.load(pixel * inner + at), lanes)
        total.set(total.get() + row * site.load(at * channels + channel, lanes, 1))
    return total.get()


def pack_conv_transpose(step: Step, weights: Weights) -> list[Array]:
    """The bias, then the weights as [row, column, channel in, channel out of its group]."""
    bias = [weights[0, "bias"]] if step.settings["bias"] else []
    return [*bias, weights[0, "weight"].transpose(2, 3, 0, 1)]


def _conv_transpose(site: Site, pixel: Expr, channel: Expr, lanes: int) -> Expr:
    """All operand places whose windows reach the pixel; with several groups, channel by channel."""
    step, emitter = site.step, site.emitter
    out, groups = setting(step, "out"), setting(step, "groups")
    biased = bool(step.settings["bias"])
    initial = site.weight(channel, lanes) if biased else number(0.0, lanes)
    total = emitter.register(initial, lanes)
    first = round_up(out, LINE_VALUES) if biased else 0
    columns = image(site.result)[1]
    row, column = emitter.let(pixel // columns), emitter.let(pixel % columns)
    size = setting(step, "kernel")
    with emitter.loop(size) as down, emitter.loop(size) as along:
        reached = [
            _reach(site, at, tap, axis) for axis, (at, tap) in enumerate(((row, down), (column, along)))
        ]
        with emitter.when(tirx.all(*[condition for _, condition in reached])):
            place = emitter.let(reached[0][0] * image(site.shape())[1] + reached[1][0])
            tap = emitter.let(first + (down * size + along) * image(site.shape())[2] * (out // groups))
            _add_channels(site, total, place, tap, channel, lanes)
    return total.get()


def _reach(site: Site, place: Expr, tap: Expr, axis: int) -> tuple[Expr, Expr]:
    """The operand's row or column that a tap of the window comes from, and whether there is one."""
    stride, padding, dilation = (setting(site.step, name) for name in ("stride", "padding", "dilation"))
    above = site.emitter.let(tirx.convert(place + padding - tap * dilation))
    inside = [above >= 0, tirx.floormod(above, stride) == 0, above < image(site.shape())[axis] * stride]
    return site.emitter.let(tirx.floordiv(above, stride)), tirx.all(*inside)


def _add_channels(site: Site, total: Register, place: Expr, tap: Expr, channel: Expr, lanes: int) -> None:
    """The channels of one place, of the group that the result's channel belongs to."""
    channels, groups = image(site.shape())[2], setting(site.step, "groups")
    inner, outer = channels // groups, setting(site.step, "out") // groups
    group = 0 if groups == 1 else site.emitter.let(channel // outer)
    within = channel if groups == 1 else site.emitter.let(channel % outer)
    with site.emitter.loop(inner) as index:
        source = site.emitter.let(group * inner + index)
        value = broadcast(site.load(place * channels + source), lanes)
        total.set(total.get() + value * site.weight(tap + source * outer + within, lanes))


PRODUCTS: Mapping[str, Value] = {"matmul": _matmul, "conv_transpose": _conv_transpose}
