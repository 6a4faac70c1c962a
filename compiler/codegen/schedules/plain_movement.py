"""Where each element of an operator that moves elements comes from. Images are channels last in memory."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from compiler.codegen.schedules.emit import broadcast, number
from compiler.codegen.schedules.places import Site, Value
from compiler.codegen.schedules.template import image, setting
from compiler.codegen.tvm_api import Expr, tirx
from compiler.kernel import Kernel


def is_scalar(kernel: Kernel) -> bool:
    """Whether neighbouring channels of the result do not come from neighbours, or cross groups."""
    step = kernel.steps[0]
    if step.operator == "flatten":
        height, width, channels = image(kernel.inputs[step.operands[0]])
        return len(kernel.inputs[0]) == 3 and channels > 1 and height * width > 1
    return step.operator == "conv_transpose" and setting(step, "groups") > 1


def _same_place(site: Site, pixel: Expr, channel: Expr, lanes: int) -> Expr:
    """Tokens and images are the same bytes."""
    return site.load(pixel * image(site.result)[2] + channel, lanes)


def _flatten(site: Site, pixel: Expr, channel: Expr, lanes: int) -> Expr:
    """Elements in the order of channels, rows, columns."""
    if not is_scalar(site.kernel):
        return site.load(channel, lanes)
    height, width, channels = image(site.shape())
    return site.load(channel % (height * width) * channels + channel // (height * width))


def _slice(site: Site, pixel: Expr, channel: Expr, lanes: int) -> Expr:
    channels = image(site.shape())[2]
    return site.load(pixel * channels + setting(site.step, "start") + channel, lanes)


def _crop(site: Site, pixel: Expr, channel: Expr, lanes: int) -> Expr:
    _, width, channels = image(site.shape())
    columns = image(site.result)[1]
    row = pixel // columns + setting(site.step, "top")
    column = pixel % columns + setting(site.step, "left")
    return site.load((row * width + column) * channels + channel, lanes)


def _resize(site: Site, pixel: Expr, channel: Expr, lanes: int) -> Expr:
    scale = Fraction(site.step.settings["scale"])
    _, width, channels = image(site.shape())
    columns = image(site.result)[1]
    row, column = pixel // columns, pixel % columns
    if site.step.settings["bilinear"]:
        return _bilinear(site, (row, column), channel, lanes, float(1 / scale))
    row, column = (place * scale.denominator // scale.numerator for place in (row, column))
    return site.load((row * width + column) * channels + channel, lanes)


def _bilinear(site: Site, place: tuple[Expr, Expr], channel: Expr, lanes: int, step: float) -> Expr:
    height, width, channels = image(site.shape())
    (top, bottom, down), (left, right, along) = (
        _between(site, at, size, step) for at, size in zip(place, (height, width), strict=True)
    )

    def row(at: Expr) -> Expr:
        values = [site.load((at * width + column) * channels + channel, lanes) for column in (left, right)]
        return _mixed(values[0], values[1], along, lanes)

    return _mixed(row(top), row(bottom), down, lanes)


def _between(site: Site, place: Expr, size: int, step: float) -> tuple[Expr, Expr, Expr]:
    """The two operand places that a place lies between, and how far it is from the first."""
    at = (tirx.Cast("float32", tirx.convert(place)) + number(0.5)) * number(step) - number(0.5)
    at = site.emitter.let(tirx.max(at, number(0.0)))
    first = site.emitter.let(tirx.min(tirx.Cast("int32", at), tirx.const(size - 1, "int32")))
    second = site.emitter.let(tirx.min(first + 1, tirx.const(size - 1, "int32")))
    return first, second, site.emitter.let(at - tirx.Cast("float32", first))


def _mixed(one: Expr, other: Expr, part: Expr, lanes: int) -> Expr:
    return one * broadcast(number(1.0) - part, lanes) + other * broadcast(part, lanes)


def _token(site: Site, pixel: Expr, channel: Expr, lanes: int) -> Expr:
    return site.load(setting(site.step, "index") * image(site.result)[2] + channel, lanes)


def _class_token(site: Site, pixel: Expr, channel: Expr, lanes: int) -> Expr:
    """The trained token at the first place, the others one place on."""
    channels = image(site.result)[2]
    before = tirx.max(tirx.convert(pixel) - 1, 0) * channels + channel
    is_first = tirx.const(0, "int32") == tirx.convert(pixel)
    return tirx.if_then_else(is_first, site.weight(channel, lanes), site.load(before, lanes))


def _position_embedding(site: Site, pixel: Expr, channel: Expr, lanes: int) -> Expr:
    place = site.emitter.let(pixel * image(site.result)[2] + channel)
    return site.load(place, lanes) + site.weight(place, lanes)


MOVEMENT: Mapping[str, Value] = {
    "slice": _slice,
    "crop": _crop,
    "resize": _resize,
    "flatten": _flatten,
    "tokens": _same_place,
    "image": _same_place,
    "class_token": _class_token,
    "position_embedding": _position_embedding,
    "token": _token,
}
