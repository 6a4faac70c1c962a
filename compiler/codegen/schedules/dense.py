"""Convolutions and linear layers: a register tile of pixels by channels, summed over the window.

The tile is `pixels` output pixels of a row by `vectors` vectors of output channels, all in registers; each
step of the sum multiplies one input value per pixel, in every lane, with the packed weights of the
channels (the outer-product kernel of Goto and van de Geijn, "Anatomy of high-performance matrix
multiplication", 2008, with the input left where it is). A 1x1 convolution of stride 1 is one long row; a
linear layer has one pixel, or one a token.

Weights are packed [group][block][row][column][channel in][channel out of the block], after the bias.

Parameters: `pixels`, `vectors`; `unroll` steps of the channel loop; `split` independent partial sums, for
tiles too small to hide the latency of an addition; `order`, the loops from the outside: 0 channels, rows,
pixels; 1 rows, channels, pixels; 2 rows, pixels, channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from compiler.codegen.schedules.emit import Emitter, Register, broadcast, load, number, offsets, round_up
from compiler.codegen.schedules.template import (
    LINE_VALUES,
    Anatomy,
    Arguments,
    Array,
    Parameters,
    Weights,
    apply_epilogue,
    concatenate,
    dissect,
    image,
    setting,
)
from compiler.codegen.schedules.tiles import (
    ChannelRun,
    TileRun,
    Window,
    block_ranges,
    channel_runs,
    tile_runs,
    window_range,
)
from compiler.codegen.tvm_api import Expr
from compiler.kernel import Kernel
from compiler.target import Target

Sums = dict[tuple[int, int], Register]
"""The registers of a tile, by pixel and first channel."""

CHANNELS_FIRST, ROWS_FIRST, PIXELS_FIRST = 0, 1, 2
FMA_LATENCY, FMA_UNITS, LOAD_UNITS = 4, 2, 2
"""Cycles and units of a current x86 core (Zen 4/5: Agner Fog, "The microarchitecture of Intel, AMD and VIA
CPUs"); they order the candidates, nothing else depends on them."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A convolution over images of (height, width, channels)."""

    rows: Window
    columns: Window
    channels: int
    out: int
    groups: int
    bias: bool

    @property
    def channels_per_group(self) -> int:
        """Input channels that an output channel sums over."""
        return self.channels // self.groups

    @property
    def out_per_group(self) -> int:
        """Output channels of a group."""
        return self.out // self.groups

    @property
    def taps(self) -> int:
        """Products per output value."""
        return self.rows.kernel * self.columns.kernel * self.channels_per_group


def shape_of(kernel: Kernel, anatomy: Anatomy) -> Shape:
    """The convolution that the anchor is; pointwise ones as a single row."""
    step = anatomy.anchor
    assert step is not None
    height, width, channels = image(kernel.inputs[anatomy.main])
    out, bias = setting(step, "out"), bool(step.settings["bias"])
    if step.operator == "linear":
        return Shape(Window(1, 1), Window(width, width), channels, out, 1, bias)
    names = ("kernel", "stride", "padding", "dilation")
    size, stride, padding, dilation = (setting(step, name) for name in names)
    groups = setting(step, "groups")
    if (size, stride, padding) == (1, 1, 0):
        pixels = height * width
        return Shape(Window(1, 1), Window(pixels, pixels), channels, out, groups, bias)
    out_height, out_width, _ = image(kernel.values[len(kernel.inputs)])
    rows = Window(height, out_height, size, stride, padding, dilation)
    return Shape(rows, Window(width, out_width, size, stride, padding, dilation), channels, out, groups, bias)


class Dense:
    """The template of `conv` and `linear`."""

    name = "dense"

    def applies(self, kernel: Kernel) -> bool:
        """A convolution or a linear layer first."""
        return kernel.steps[0].operator in ("conv", "linear")

    def candidates(self, kernel: Kernel, target: Target) -> list[Parameters]:
        """Tiles in the order of a simple count of cycles; the loop orders of the best ones."""
        shape = shape_of(kernel, dissect(kernel))
        tiles = sorted(_tiles(shape, target), key=lambda tile: (_cycles(shape, target, *tile), tile))
        orders = _orders(shape, target)
        ranked = [
            (rank + 1.5 * place, tile, order) for rank, tile in enumerate(tiles) for place, order in orders
        ]
        ranked.sort(key=lambda item: item[0])
        return [_parameters(shape, tile, order) for _, tile, order in ranked]

    def emit(
        self, emitter: Emitter, kernel: Kernel, parameters: Parameters, target: Target, arguments: Arguments
    ) -> None:
        """Write the loops around the tiles."""
        anatomy = dissect(kernel)
        _Writer(emitter, anatomy, shape_of(kernel, anatomy), parameters, target, arguments).write()

    def pack(self, kernel: Kernel, parameters: Parameters, target: Target, weights: Weights) -> Array:
        """Bias, then the weights block by block."""
        shape = shape_of(kernel, dissect(kernel))
        weight = weights[0, "weight"].reshape(
            shape.groups,
            shape.out_per_group,
            shape.channels_per_group,
            shape.rows.kernel,
            shape.columns.kernel,
        )
        ranges = block_ranges(channel_runs(shape.out_per_group, parameters["vectors"], target.lanes))
        blocks = [
            weight[group, start:stop].transpose(2, 3, 1, 0).reshape(-1)
            for group in range(shape.groups)
            for start, stop in ranges
        ]
        bias = [weights[0, "bias"]] if shape.bias else []
        return concatenate([*bias, np.concatenate(blocks)])


def _tiles(shape: Shape, target: Target) -> Iterator[tuple[int, int]]:
    """Register tiles (pixels, vectors) that fit and are not needlessly large."""
    room = target.registers - 2
    most = -(-shape.out_per_group // target.lanes)
    for vectors in range(1, min(most, 8 if shape.columns.extent > 1 else 16) + 1):
        for pixels in range(1, min(shape.columns.extent, 28) + 1):
            if pixels * vectors + (vectors if pixels > 1 else 0) <= room:
                yield pixels, vectors


def _cycles(shape: Shape, target: Target, pixels: int, vectors: int) -> float:
    """A guess at the cycles of the whole kernel: arithmetic, loads and latency, tile by tile."""
    columns = -(-shape.columns.extent // pixels)
    total = 0.0
    for run in channel_runs(shape.out_per_group, vectors, target.lanes):
        width = len(run.widths)
        step = max(
            pixels * width / FMA_UNITS,
            (pixels + width) / LOAD_UNITS,
            FMA_LATENCY / _split(shape, pixels, width),
        )
        total += run.count * (shape.taps * step + 3 * pixels * width + 12)
    return total * columns * shape.rows.extent * shape.groups


def _orders(shape: Shape, target: Target) -> list[tuple[int, int]]:
    """Loop orders with their place in the queue: weights stay in cache, or the input does."""
    weights = shape.taps * shape.out_per_group * 4
    one_row = shape.rows.extent == 1
    if shape.columns.extent == 1 and one_row:
        return [(0, CHANNELS_FIRST)]
    first, second = (
        (PIXELS_FIRST, CHANNELS_FIRST) if weights <= target.l1_bytes // 2 else (CHANNELS_FIRST, PIXELS_FIRST)
    )
    orders = [first, second] if one_row else [first, ROWS_FIRST, second]
    return list(enumerate(orders))


def _split(shape: Shape, pixels: int, vectors: int) -> int:
    """Partial sums so that latency is hidden; at most one a channel."""
    wanted = -(-FMA_LATENCY * FMA_UNITS // (pixels * vectors))
    return max(1, min(wanted, 4, shape.channels_per_group))


def _parameters(shape: Shape, tile: tuple[int, int], order: int) -> Parameters:
    pixels, vectors = tile
    split = _split(shape, pixels, vectors)
    unroll = min(shape.channels_per_group, max(split, 4 if pixels * vectors > 4 else 8))
    return {"pixels": pixels, "vectors": vectors, "unroll": unroll, "split": split, "order": order}


class _Writer:
    """Writes one kernel."""

    def __init__(
        self,
        emitter: Emitter,
        anatomy: Anatomy,
        shape: Shape,
        parameters: Parameters,
        target: Target,
        arguments: Arguments,
    ) -> None:
        self.emitter, self.anatomy, self.shape = emitter, anatomy, shape
        self.parameters, self.target, self.arguments = parameters, target, arguments
        self.pixels = parameters["pixels"]
        self.channel_runs = channel_runs(shape.out_per_group, parameters["vectors"], target.lanes)
        self.tile_runs = tile_runs(shape.columns, self.pixels)
        self.first_weight = round_up(shape.out, LINE_VALUES) if shape.bias else 0

    def write(self) -> None:
        """All loops, in the order that the parameters ask for."""
        order = self.parameters["order"]
        parallel = self.target.threads > 1
        with self.emitter.loop(self.shape.groups) as group:
            if order == CHANNELS_FIRST:
                for channels in self.channel_runs:
                    with (
                        self.emitter.loop(channels.count, parallel=parallel) as block,
                        self.emitter.loop(self.shape.rows.extent) as row,
                    ):
                        self._row(group, channels, block, row)
            elif order == ROWS_FIRST:
                with self.emitter.loop(self.shape.rows.extent, parallel=parallel) as row:
                    for channels in self.channel_runs:
                        with self.emitter.loop(channels.count) as block:
                            self._row(group, channels, block, row)
            else:
                outer = parallel and self.shape.rows.extent > 1
                with self.emitter.loop(self.shape.rows.extent, parallel=outer) as row:
                    for tiles in self.tile_runs:
                        with self.emitter.loop(tiles.count, parallel=parallel and not outer) as index:
                            self._all_channels(
                                group, row, self.emitter.let(tiles.at(index, self.pixels)), tiles
                            )

    def _row(self, group: Expr, channels: ChannelRun, block: Expr, row: Expr) -> None:
        for tiles in self.tile_runs:
            with self.emitter.loop(tiles.count) as index:
                self._tile(group, channels, block, row, self.emitter.let(tiles.at(index, self.pixels)), tiles)

    def _all_channels(self, group: Expr, row: Expr, column: Expr, tiles: TileRun) -> None:
        for channels in self.channel_runs:
            with self.emitter.loop(channels.count) as block:
                self._tile(group, channels, block, row, column, tiles)

    def _tile(
        self, group: Expr, channels: ChannelRun, block: Expr, row: Expr, column: Expr, tiles: TileRun
    ) -> None:
        emitter, shape = self.emitter, self.shape
        out = emitter.let(group * shape.out_per_group + channels.start + block * channels.block)
        sums = [self._registers(channels, out, part) for part in range(self.parameters["split"])]
        self._sum(channels, group, out, row, column, tiles, sums)
        for (pixel, start), register in sums[0].items():
            total = register.get()
            for part in sums[1:]:
                total = total + part[pixel, start].get()
            where = (row * shape.columns.extent + column + pixel) * shape.out + out + start
            self._finish(emitter.let(total), emitter.let(where), register.lanes)

    def _registers(self, channels: ChannelRun, out: Expr, part: int) -> Sums:
        """The tile's registers, by pixel and first channel; the first part starts from the bias."""
        biased = self.shape.bias and part == 0
        sums = {}
        for start, width in zip(offsets(channels.widths), channels.widths, strict=True):
            initial = load(self.arguments.weights, out + start, width) if biased else number(0.0, width)
            initial = self.emitter.let(initial)
            for pixel in range(self.pixels):
                sums[pixel, start] = self.emitter.register(initial, width)
        return sums

    def _finish(self, value: Expr, where: Expr, width: int) -> None:
        def read(index: int) -> Expr:
            return load(self.arguments.inputs[index], where, width)

        result = apply_epilogue(self.emitter, self.anatomy, value, width, read)
        self.emitter.store(self.arguments.output, where, result, width)

    def _sum(
        self,
        channels: ChannelRun,
        group: Expr,
        out: Expr,
        row: Expr,
        column: Expr,
        tiles: TileRun,
        sums: Sequence[Sums],
    ) -> None:
        """Add up the window, row by row; rows in the padding are skipped."""
        emitter, shape, window = self.emitter, self.shape, self.shape.columns
        weight = emitter.let(self.first_weight + out * shape.taps)
        first, count = window_range(emitter, shape.rows, row)
        with emitter.loop(count, first) as tap_row:
            line = shape.rows.place(row, tap_row) * window.size
            for tap in range(window.kernel):
                pixels = [
                    pixel
                    for pixel in range(self.pixels)
                    if tiles.clean or window.inside(tiles.start + pixel, tap)
                ]
                if pixels:
                    place = (line + window.place(column, tap)) * shape.channels
                    source = emitter.let(place + group * shape.channels_per_group)
                    taps = (tap_row * window.kernel + tap) * shape.channels_per_group
                    packed = emitter.let(weight + taps * channels.block)
                    self._channels(channels, source, packed, sums, pixels)

    def _channels(
        self, channels: ChannelRun, source: Expr, packed: Expr, sums: Sequence[Sums], pixels: Sequence[int]
    ) -> None:
        """The loop over input channels of one tap."""
        unroll = self.parameters["unroll"]
        full, rest = divmod(self.shape.channels_per_group, unroll)
        if full:
            with self.emitter.loop(full) as turn:
                for step in range(unroll):
                    part = sums[step % len(sums)]
                    self._step(channels, source, packed, turn * unroll + step, part, pixels)
        for step in range(rest):
            part = sums[step % len(sums)]
            self._step(channels, source, packed, full * unroll + step, part, pixels)

    def _step(
        self,
        channels: ChannelRun,
        source: Expr,
        packed: Expr,
        channel: Expr,
        sums: Sums,
        pixels: Sequence[int],
    ) -> None:
        """One outer product: each pixel's value of a channel times the block's weights."""
        emitter, arguments = self.emitter, self.arguments
        stride = self.shape.columns.stride * self.shape.channels
        image = arguments.inputs[self.anatomy.main]
        weights = [
            (
                start,
                width,
                emitter.let(load(arguments.weights, packed + channel * channels.block + start, width)),
            )
            for start, width in zip(offsets(channels.widths), channels.widths, strict=True)
        ]
        for pixel in pixels:
            value = emitter.let(load(image, source + channel + pixel * stride))
            for start, width, weight in weights:
                total = sums[pixel, start]
                total.set(total.get() + broadcast(value, width) * weight)


TEMPLATE = Dense()
