"""The code of convolutions and linear layers: register tiles of one row, summed over the window.

Each step of the sum multiplies one input value per pixel, in every lane, with the packed weights of the
channels (the outer-product kernel of Goto and van de Geijn, "Anatomy of high-performance matrix
multiplication", 2008, with the input left where it is).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compiler.codegen.schedules.dense_tiles import Shape
from compiler.codegen.schedules.emit import Emitter, Register, broadcast, load, number, offsets, round_up
from compiler.codegen.schedules.stage import Stage
from compiler.codegen.schedules.template import LINE_VALUES, Array, Parameters, Weights, concatenate
from compiler.codegen.schedules.tiles import (
    ChannelRun,
    TileRun,
    block_ranges,
    channel_runs,
    tile_runs,
    window_range,
)
from compiler.codegen.tvm_api import Expr

Sums = dict[tuple[int, int], Register]
"""The registers of a tile, by pixel and first channel."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """A register tile of `pixels` by `vectors`; how its channel loop is unrolled and split into partial sums;
    whether the next block's weights are fetched ahead."""

    pixels: int
    vectors: int
    unroll: int
    split: int
    ahead: bool = False

    @classmethod
    def of(cls, parameters: Parameters, prefix: str = "") -> Tiling:
        """The tiling that a schedule's parameters name."""
        pixels, vectors, unroll, split = (
            parameters[prefix + name] for name in ("pixels", "vectors", "unroll", "split")
        )
        return cls(pixels, vectors, unroll, split, bool(parameters.get(prefix + "ahead", 0)))


def first_weight(shape: Shape) -> int:
    """Where the packed weights begin, after the bias."""
    return round_up(shape.out, LINE_VALUES) if shape.bias else 0


def pack_dense(shape: Shape, vectors: int, lanes: int, weights: Weights) -> Array:
    """Bias, then the weights [group][block][row][column][channel in][channel out of the block]."""
    weight = weights[0, "weight"].reshape(
        shape.groups, shape.out_per_group, shape.channels_per_group, shape.rows.kernel, shape.columns.kernel
    )
    ranges = block_ranges(channel_runs(shape.out_per_group, vectors, lanes))
    blocks = [
        weight[group, start:stop].transpose(2, 3, 1, 0).reshape(-1)
        for group in range(shape.groups)
        for start, stop in ranges
    ]
    bias = [weights[0, "bias"]] if shape.bias else []
    return concatenate([*bias, np.concatenate(blocks)])


class DenseRows:
    """Writes rows of a convolution."""

    def __init__(self, emitter: Emitter, shape: Shape, tiling: Tiling, lanes: int, stage: Stage) -> None:
        self.emitter, self.shape, self.tiling, self.stage = emitter, shape, tiling, stage
        self.channel_runs = channel_runs(shape.out_per_group, tiling.vectors, lanes)
        self.tile_runs = tile_runs(shape.columns, tiling.pixels)
        self.tiles = -(-shape.columns.extent // tiling.pixels)

    def row(self, row: Expr) -> None:
        """A whole output row: block by block of channels, since a block's weights then stay in the cache."""
        with self.emitter.loop(self.shape.groups) as group:
            for channels in self.channel_runs:
                with self.emitter.loop(channels.count) as block:
                    self.block(group, channels, block, row)

    def block(self, group: Expr, channels: ChannelRun, block: Expr, row: Expr) -> None:
        """One block of channels of a row."""
        for tiles in self.tile_runs:
            with self.emitter.loop(tiles.count) as index:
                column = self.emitter.let(tiles.at(index, self.tiling.pixels))
                self._tile(group, channels, block, row, column, tiles)

    def all_channels(self, group: Expr, row: Expr, column: Expr, tiles: TileRun) -> None:
        """All channels of the pixels of one tile."""
        for channels in self.channel_runs:
            with self.emitter.loop(channels.count) as block:
                self._tile(group, channels, block, row, column, tiles)

    def _tile(
        self, group: Expr, channels: ChannelRun, block: Expr, row: Expr, column: Expr, tiles: TileRun
    ) -> None:
        emitter, shape = self.emitter, self.shape
        out = emitter.let(group * shape.out_per_group + channels.start + block * channels.block)
        sums = [self._registers(channels, out, part) for part in range(self.tiling.split)]
        self._sum(channels, group, out, row, column, tiles, sums)
        for (pixel, start), register in sums[0].items():
            total = register.get()
            for part in sums[1:]:
                total = total + part[pixel, start].get()
            self.stage.finish(emitter.let(total), row, column + pixel, out + start, register.lanes)

    def _registers(self, channels: ChannelRun, out: Expr, part: int) -> Sums:
        """The tile's registers, by pixel and first channel; the first part starts from the bias."""
        biased = self.shape.bias and part == 0
        sums = {}
        for start, width in zip(offsets(channels.widths), channels.widths, strict=True):
            place = out + start + self.stage.bias
            initial = load(self.stage.constants, place, width) if biased else number(0.0, width)
            initial = self.emitter.let(initial)
            for pixel in range(self.tiling.pixels):
                sums[pixel, start] = self.emitter.register(initial, width)
        return sums

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
        weight = emitter.let(self.stage.weights + out * shape.taps)
        first, count = window_range(emitter, shape.rows, row)
        with emitter.loop(count, first) as tap_row:
            line = self.stage.line(row, tap_row)
            for tap in range(window.kernel):
                pixels = [
                    pixel
                    for pixel in range(self.tiling.pixels)
                    if tiles.clean or window.inside(tiles.start + pixel, tap)
                ]
                if pixels:
                    place = line + window.place(column, tap) * shape.channels
                    source = emitter.let(place + group * shape.channels_per_group)
                    taps = (tap_row * window.kernel + tap) * shape.channels_per_group
                    packed = emitter.let(weight + taps * channels.block)
                    tile = row * self.tiles + column // self.tiling.pixels
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
        unroll = self.tiling.unroll
        full, rest = divmod(self.shape.channels_per_group, unroll)
        lines = self._lines_ahead(channels) if self.tiling.ahead else 0
        ahead = self.emitter.let(
            packed + self.shape.taps * channels.block + tile * (full * lines * LINE_VALUES)
        )
        if full:
            with self.emitter.loop(full) as turn:
                for line in range(lines):
                    place = ahead + (turn * lines + line) * LINE_VALUES
                    self.emitter.prefetch(self.stage.constants, place)
                for step in range(unroll):
                    part = sums[step % len(sums)]
                    self._step(channels, source, packed, turn * unroll + step, part, pixels)
        for step in range(rest):
            part = sums[step % len(sums)]
            self._step(channels, source, packed, full * unroll + step, part, pixels)

    def _lines_ahead(self, channels: ChannelRun) -> int:
        """Cache lines of the next block's weights to fetch in one turn, so that all tiles fetch all of them."""
        tiles = self.tiles * self.shape.rows.extent
        return -(-self.tiling.unroll * channels.block // (LINE_VALUES * tiles))

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
        emitter, constants = self.emitter, self.stage.constants
        stride = self.shape.columns.stride * self.shape.channels
        weights = [
            (start, width, emitter.let(load(constants, packed + channel * channels.block + start, width)))
            for start, width in zip(offsets(channels.widths), channels.widths, strict=True)
        ]
        for pixel in pixels:
            value = emitter.let(load(self.stage.image, source + channel + pixel * stride))
            for start, width, weight in weights:
                total = sums[pixel, start]
                total.set(total.get() + broadcast(value, width) * weight)
