"""The code of depthwise convolutions and pooling: register tiles of one row, one pass over the window.

Every input vector, loaded once, is added to all output pixels of the tile that it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compiler.codegen.schedules.emit import Emitter, Register, broadcast, load, number, offsets, round_up
from compiler.codegen.schedules.stage import Stage
from compiler.codegen.schedules.template import (
    LINE_VALUES,
    LOWEST,
    Anatomy,
    Array,
    Weights,
    concatenate,
    image,
    setting,
)
from compiler.codegen.schedules.tiles import (
    ChannelRun,
    TileRun,
    Window,
    block_ranges,
    channel_runs,
    step_windows,
    tile_runs,
    window_range,
)
from compiler.codegen.tvm_api import Expr, tirx
from compiler.kernel import Kernel

Sums = dict[tuple[int, int], Register]
"""The registers of a tile, by pixel and first channel."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A window over an image of `channels` channels."""

    operator: str
    rows: Window
    columns: Window
    channels: int
    bias: bool

    @property
    def taps(self) -> int:
        """Values under the window."""
        return self.rows.kernel * self.columns.kernel


def shape_of(kernel: Kernel, anatomy: Anatomy) -> Shape:
    """The window that the anchor slides."""
    step = anatomy.anchor
    assert step is not None
    height, width, channels = image(kernel.inputs[anatomy.main])
    out_height, out_width, _ = image(kernel.values[len(kernel.inputs)])
    dilation = setting(step, "dilation") if step.operator == "depthwise" else 1
    bias = step.operator == "depthwise" and bool(step.settings["bias"])
    rows, columns = step_windows(step, height, width, (out_height, out_width), dilation)
    return Shape(step.operator, rows, columns, channels, bias)


def first_weight(shape: Shape) -> int:
    """Where the packed weights begin, after the bias."""
    return round_up(shape.channels, LINE_VALUES) if shape.bias else 0


def pack_window(shape: Shape, vectors: int, lanes: int, weights: Weights) -> Array:
    """Bias, then the weights [block][row][column][channel of the block]; pooling has none."""
    if shape.operator != "depthwise":
        return concatenate([])
    weight = weights[0, "weight"].reshape(shape.channels, shape.taps)
    ranges = block_ranges(channel_runs(shape.channels, vectors, lanes))
    blocks = [weight[start:stop].T.reshape(-1) for start, stop in ranges]
    bias = [weights[0, "bias"]] if shape.bias else []
    return concatenate([*bias, np.concatenate(blocks)])


class WindowRows:
    """Writes rows of a window over every channel by itself, in tiles of `pixels` by `vectors`."""

    def __init__(
        self, emitter: Emitter, shape: Shape, pixels: int, vectors: int, lanes: int, stage: Stage
    ) -> None:
        self.emitter, self.shape, self.pixels, self.stage = emitter, shape, pixels, stage
        self.channel_runs = channel_runs(shape.channels, vectors, lanes)
        self.tile_runs = tile_runs(shape.columns, pixels)

    def row(self, row: Expr) -> None:
        """A whole output row, block by block of channels."""
        for channels in self.channel_runs:
            with self.emitter.loop(channels.count) as block:
                self.block(channels, block, row)

    def block(self, channels: ChannelRun, block: Expr, row: Expr) -> None:
        """One block of channels of a row."""
        for tiles in self.tile_runs:
            with self.emitter.loop(tiles.count) as index:
                column = self.emitter.let(tiles.at(index, self.pixels))
                self._tile(channels, block, row, column, tiles)

    def all_channels(self, row: Expr, column: Expr, tiles: TileRun) -> None:
        """All channels of the pixels of one tile."""
        for channels in self.channel_runs:
            with self.emitter.loop(channels.count) as block:
                self._tile(channels, block, row, column, tiles)

    def _tile(self, channels: ChannelRun, block: Expr, row: Expr, column: Expr, tiles: TileRun) -> None:
        emitter, shape = self.emitter, self.shape
        channel = emitter.let(channels.start + block * channels.block)
        sums: Sums = {}
        for start, width in zip(offsets(channels.widths), channels.widths, strict=True):
            initial = emitter.let(self._initial(channel + start, width))
            for pixel in range(self.pixels):
                sums[pixel, start] = emitter.register(initial, width)
        first, count = window_range(emitter, shape.rows, row)
        with emitter.loop(count, first) as tap_row:
            self._window_row(channels, channel, row, column, tap_row, tiles, sums)
        for (pixel, start), register in sums.items():
            value = register.get()
            if shape.operator == "avg_pool":
                value = value / broadcast(self._inside(tiles, pixel, count), register.lanes)
            self.stage.finish(emitter.let(value), row, column + pixel, channel + start, register.lanes)

    def _initial(self, channel: Expr, width: int) -> Expr:
        if self.shape.bias:
            return load(self.stage.constants, channel + self.stage.bias, width)
        return number(LOWEST if self.shape.operator == "max_pool" else 0.0, width)

    def _inside(self, tiles: TileRun, pixel: int, rows: Expr) -> Expr:
        window = self.shape.columns
        taps = [tap for tap in range(window.kernel) if tiles.clean or window.inside(tiles.start + pixel, tap)]
        count = rows * len(taps)
        return float(count) if isinstance(count, int) else tirx.Cast("float32", count)

    def _window_row(
        self,
        channels: ChannelRun,
        channel: Expr,
        row: Expr,
        column: Expr,
        tap_row: Expr,
        tiles: TileRun,
        sums: Sums,
    ) -> None:
        """One row of the window: each input vector, once, into every output pixel that sees it."""
        emitter, shape, window = self.emitter, self.shape, self.shape.columns
        place = self.stage.line(row, tap_row) + window.place(column, 0) * shape.channels
        source = emitter.let(place + channel)
        first = emitter.let(
            self.stage.weights + channel * shape.taps + tap_row * (window.kernel * channels.block)
        )
        for start, width in zip(offsets(channels.widths), channels.widths, strict=True):
            weights = self._weights(first + start, channels.block, width)
            for place, users in self._users(tiles):
                value = emitter.let(load(self.stage.image, source + place * shape.channels + start, width))
                for pixel, tap in users:
                    total = sums[pixel, start]
                    total.set(self._join(total.get(), value, weights[tap]))

    def _weights(self, first: Expr, block: int, width: int) -> list[Expr | None]:
        """The weights of a row of the window, for one vector of channels."""
        taps = range(self.shape.columns.kernel)
        if self.shape.operator != "depthwise":
            return [None for _ in taps]
        return [self.emitter.let(load(self.stage.constants, first + tap * block, width)) for tap in taps]

    def _users(self, tiles: TileRun) -> list[tuple[int, list[tuple[int, int]]]]:
        """Input columns, counted from the tile's left edge, with the (pixel, tap) that read them."""
        window = self.shape.columns
        users: dict[int, list[tuple[int, int]]] = {}
        for pixel in range(self.pixels):
            for tap in range(window.kernel):
                if tiles.clean or window.inside(tiles.start + pixel, tap):
                    place = pixel * window.stride + tap * window.dilation
                    users.setdefault(place, []).append((pixel, tap))
        return sorted(users.items())

    def _join(self, total: Expr, value: Expr, weight: Expr | None) -> Expr:
        if self.shape.operator == "max_pool":
            return tirx.max(total, value)
        return total + (value if weight is None else value * weight)
