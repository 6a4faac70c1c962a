"""Between channels first, at a bundle's interface, and channels last, inside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from compiler.codegen.schedules.emit import Emitter, load, split_lanes
from compiler.codegen.tvm_api import Expr, tirx
from compiler.ir.types import Dimensions

LAYOUTS = {1: "NC", 2: "NTC", 3: "NCHW"}
"""The layout at the interface, batch in front, by the dimensions of the language's type."""
MOST_SHUFFLED = 16
"""With more channels than this, values are copied one by one."""


def same_in_memory(shape: Dimensions) -> bool:
    """Whether channels first and channels last are the same bytes."""
    return len(shape) < 3 or shape[0] == 1 or shape[1] * shape[2] == 1


def turn(
    emitter: Emitter,
    source: Expr,
    start: int,
    result: Expr,
    place: int,
    shape: Dimensions,
    lanes: int,
    inwards: bool,
) -> None:
    """Copy an image from `source[start:]` to `result[place:]`, inwards to channels last, else to channels first.

    A few channels at once are interleaved in registers, `lanes` pixels at a time.
    """
    channels, pixels = shape[0], prod(shape[1:])

    def read(offset: Expr, width: int) -> Expr:
        return load(source, start + offset, width)

    def write(offset: Expr, value: Expr, width: int) -> None:
        emitter.store(result, place + offset, value, width)

    write_turned(emitter, read, write, (channels, pixels), lanes if channels <= MOST_SHUFFLED else 1, inwards)


def write_turned(
    emitter: Emitter,
    read: Callable[[Expr, int], Expr],
    write: Callable[[Expr, Expr, int], None],
    sizes: tuple[int, int],
    lanes: int,
    inwards: bool,
) -> None:
    """Turn [channels, pixels] into [pixels, channels], or the other way, `lanes` pixels of every channel at once.

    `read` gives vectors of what there is, by place and width, `write` takes those of the result.
    """
    channels, pixels = sizes

    def block(pixel: Expr, width: int) -> None:
        planes = [channel * pixels + pixel for channel in range(channels)]
        rows = [pixel * channels + channel * width for channel in range(channels)]
        sources, results = (planes, rows) if inwards else (rows, planes)
        values = [emitter.let(read(offset, width)) for offset in sources]
        for index, offset in enumerate(results):
            write(offset, _shuffled(values, channels, width, index, inwards), width)

    full = pixels // lanes
    with emitter.loop(full) as turn:
        block(turn * lanes, lanes)
    done = full * lanes
    for width in split_lanes(pixels - done, lanes):
        block(done, width)
        done += width


def _shuffled(values: Sequence[Expr], channels: int, width: int, index: int, inwards: bool) -> Expr:
    """The `index`-th vector of the result: lanes picked out of all vectors loaded."""
    if width == 1:
        return values[index]
    if inwards:
        elements = [index * width + lane for lane in range(width)]
        picks = [element % channels * width + element // channels for element in elements]
    else:
        picks = [lane * channels + index for lane in range(width)]
    return tirx.Shuffle(list(values), [tirx.const(pick, "int32") for pick in picks])
