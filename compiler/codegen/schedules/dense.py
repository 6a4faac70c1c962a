"""Convolutions and linear layers: a register tile of pixels by channels, summed over the window.

The tile is `pixels` output pixels of a row by `vectors` vectors of output channels, all in registers; each
step of the sum multiplies one input value per pixel, in every lane, with the packed weights of the
channels (the outer-product kernel of Goto and van de Geijn, "Anatomy of high-performance matrix
multiplication", 2008, with the input left where it is). A 1x1 convolution of stride 1 is one long row; a
linear layer has one pixel, or one a token.

Weights are packed [group][block][row][column][channel in][channel out of the block], after the bias.

Parameters: `pixels`, `vectors`; `unroll` steps of the channel loop; `split` independent partial sums, for
tiles too small to hide the latency of an addition; `order`, the loops from the outside: 0 channels, rows,
pixels; 1 rows, channels, pixels; 2 rows, pixels, channels; `ahead`, whether the weights of the next block are
fetched while this one's are used, which gains up to 20% where they come from memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compiler.codegen.schedules.dense_tiles import (
    CHANNELS_FIRST,
    ROWS_FIRST,
    Shape,
    dense_candidates,
    shape_of,
)
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
    read_at,
)
from compiler.codegen.schedules.tiles import (
    ChannelRun,
    TileRun,
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


class Dense:
    """The template of `conv` and `linear`."""

    name = "dense/1"
    operators = ("conv", "linear")

    def applies(self, kernel: Kernel) -> bool:
        """A convolution or a linear layer first."""
        return kernel.steps[0].operator in self.operators

    def candidates(self, kernel: Kernel, target: Target) -> list[Parameters]:
        """Register tiles that `dense_candidates` thinks best, with their loop orders."""
        return dense_candidates(shape_of(kernel, dissect(kernel)), target)

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
        self.tiles = -(-shape.columns.extent // self.pixels)
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
            return read_at(self.anatomy.kernel, self.arguments, index, where, width)

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
                    tile = row * self.tiles + column // self.pixels
                    self._channels(channels, source, packed, tile, sums, pixels)

    def _channels(
        self,
        channels: ChannelRun,
        source: Expr,
        packed: Expr,
        tile: Expr,
        sums: Sequence[Sums],
        pixels: Sequence[int],
    ) -> None:
        """The loop over input channels of one tap."""
        unroll = self.parameters["unroll"]
        full, rest = divmod(self.shape.channels_per_group, unroll)
        lines = self._lines_ahead(channels) if self.parameters["ahead"] else 0
        ahead = self.emitter.let(
            packed + self.shape.taps * channels.block + tile * (full * lines * LINE_VALUES)
        )
        if full:
            with self.emitter.loop(full) as turn:
                for line in range(lines):
                    place = ahead + (turn * lines + line) * LINE_VALUES
                    self.emitter.prefetch(self.arguments.weights, place)
                for step in range(unroll):
                    part = sums[step % len(sums)]
                    self._step(channels, source, packed, turn * unroll + step, part, pixels)
        for step in range(rest):
            part = sums[step % len(sums)]
            self._step(channels, source, packed, full * unroll + step, part, pixels)

    def _lines_ahead(self, channels: ChannelRun) -> int:
        """Cache lines of the next block's weights to fetch in one turn, so that all tiles fetch all of them."""
        tiles = self.tiles * self.shape.rows.extent
        return -(-self.parameters["unroll"] * channels.block // (LINE_VALUES * tiles))

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
