"""Depthwise convolutions and pooling: vectors of channels, a register tile of output pixels.

One pass over the window adds every input vector, loaded once, to all output pixels of the tile that it
belongs to. Weights are packed [block][row][column][channel of the block], after the bias.

Parameters: `pixels`, `vectors` make the tile; `order` the loops from the outside: 0 channels, rows, pixels;
1 rows, channels, pixels; 2 rows, pixels, channels.

`avg_pool` divides by the number of values inside the image: PyTorch's count_include_pad=False.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compiler.codegen.schedules.emit import Emitter, Register, broadcast, load, number, offsets, round_up
from compiler.codegen.schedules.template import (
    LINE_VALUES,
    LOWEST,
    Anatomy,
    Arguments,
    Array,
    Parameters,
    Weights,
    apply_epilogue,
    concatenate,
    dissect,
    image,
    read_at,
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
from compiler.target import Target

Sums = dict[tuple[int, int], Register]
"""The registers of a tile, by pixel and first channel."""

CHANNELS_FIRST, ROWS_FIRST, PIXELS_FIRST = 0, 1, 2
CROWDED = 1.15
"""What a tile loses that fills more than half of the registers, as measured on Zen 5."""


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


class Windowed:
    """The template of `depthwise`, `max_pool` and `avg_pool`."""

    name = "window/1"
    operators = ("depthwise", "max_pool", "avg_pool")

    def applies(self, kernel: Kernel) -> bool:
        """A window over every channel by itself first."""
        return kernel.steps[0].operator in self.operators

    def candidates(self, kernel: Kernel, target: Target) -> list[Parameters]:
        """Tiles in the order of a simple count of cycles, the channels' loop outside first."""
        shape = shape_of(kernel, dissect(kernel))
        tiles = sorted(_tiles(shape, target), key=lambda tile: (_cycles(shape, target, *tile), tile))
        orders = enumerate((CHANNELS_FIRST, ROWS_FIRST, PIXELS_FIRST))
        ranked = [
            (rank + 3 * place, tile, order) for place, order in orders for rank, tile in enumerate(tiles)
        ]
        ranked.sort()
        return [
            {"pixels": pixels, "vectors": vectors, "order": order} for _, (pixels, vectors), order in ranked
        ]

    def emit(
        self, emitter: Emitter, kernel: Kernel, parameters: Parameters, target: Target, arguments: Arguments
    ) -> None:
        """Write the loops around the tiles."""
        anatomy = dissect(kernel)
        _Writer(emitter, anatomy, shape_of(kernel, anatomy), parameters, target, arguments).write()

    def pack(self, kernel: Kernel, parameters: Parameters, target: Target, weights: Weights) -> Array:
        """Bias, then the window's weights block by block."""
        shape = shape_of(kernel, dissect(kernel))
        if shape.operator != "depthwise":
            return concatenate([])
        weight = weights[0, "weight"].reshape(shape.channels, shape.taps)
        ranges = block_ranges(channel_runs(shape.channels, parameters["vectors"], target.lanes))
        blocks = [weight[start:stop].T.reshape(-1) for start, stop in ranges]
        bias = [weights[0, "bias"]] if shape.bias else []
        return concatenate([*bias, np.concatenate(blocks)])


def _tiles(shape: Shape, target: Target) -> list[tuple[int, int]]:
    most = -(-shape.channels // target.lanes)
    room = target.registers * 2 // 3
    return [
        (pixels, vectors)
        for vectors in range(1, min(most, 4) + 1)
        for pixels in range(1, min(shape.columns.extent, 16) + 1)
        if pixels * vectors <= room
    ]


def _cycles(shape: Shape, target: Target, pixels: int, vectors: int) -> float:
    """A guess at the cycles of the whole kernel: loads against arithmetic, and what a tile costs by itself."""
    window = shape.columns
    inputs = (pixels - 1) * window.stride + (window.kernel - 1) * window.dilation + 1
    total = 0.0
    for run in channel_runs(shape.channels, vectors, target.lanes):
        width = len(run.widths)
        loads = (min(inputs, pixels * window.kernel) + window.kernel) * width
        step = max(pixels * window.kernel * width / 2, loads / 2, 4.0 * window.kernel)
        total += run.count * (window.kernel * (step + 4) + 2 * pixels * width + 10)
    edges = sum(not tile.clean for tile in tile_runs(window, pixels))
    tiles = -(-window.extent // pixels)
    crowded = CROWDED if pixels * vectors > target.registers // 2 else 1.0
    return crowded * total * tiles * (1 + 0.02 * edges)


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
        self.channel_runs = channel_runs(shape.channels, parameters["vectors"], target.lanes)
        self.tile_runs = tile_runs(shape.columns, self.pixels)
        self.first_weight = round_up(shape.channels, LINE_VALUES) if shape.bias else 0

    def write(self) -> None:
        """All loops, in the order that the parameters ask for."""
        order, rows = self.parameters["order"], self.shape.rows.extent
        parallel = self.target.threads > 1
        if order == CHANNELS_FIRST:
            for channels in self.channel_runs:
                with (
                    self.emitter.loop(channels.count, parallel=parallel) as block,
                    self.emitter.loop(rows) as row,
                ):
                    self._row(channels, block, row)
            return
        with self.emitter.loop(rows, parallel=parallel) as row:
            if order == ROWS_FIRST:
                for channels in self.channel_runs:
                    with self.emitter.loop(channels.count) as block:
                        self._row(channels, block, row)
            else:
                for tiles in self.tile_runs:
                    with self.emitter.loop(tiles.count) as index:
                        column = self.emitter.let(tiles.at(index, self.pixels))
                        self._all_channels(row, column, tiles)

    def _row(self, channels: ChannelRun, block: Expr, row: Expr) -> None:
        for tiles in self.tile_runs:
            with self.emitter.loop(tiles.count) as index:
                column = self.emitter.let(tiles.at(index, self.pixels))
                self._tile(channels, block, row, column, tiles)

    def _all_channels(self, row: Expr, column: Expr, tiles: TileRun) -> None:
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
            place = (row * shape.columns.extent + column + pixel) * shape.channels + channel + start
            self._finish(emitter.let(value), emitter.let(place), register.lanes)

    def _initial(self, channel: Expr, width: int) -> Expr:
        if self.shape.bias:
            return load(self.arguments.weights, channel, width)
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
        line = shape.rows.place(row, tap_row) * window.size
        source = emitter.let((line + window.place(column, 0)) * shape.channels + channel)
        first = emitter.let(
            self.first_weight + channel * shape.taps + tap_row * (window.kernel * channels.block)
        )
        image = self.arguments.inputs[self.anatomy.main]
        for start, width in zip(offsets(channels.widths), channels.widths, strict=True):
            weights = self._weights(first + start, channels.block, width)
            for place, users in self._users(tiles):
                value = emitter.let(load(image, source + place * shape.channels + start, width))
                for pixel, tap in users:
                    total = sums[pixel, start]
                    total.set(self._join(total.get(), value, weights[tap]))

    def _weights(self, first: Expr, block: int, width: int) -> list[Expr | None]:
        """The weights of a row of the window, for one vector of channels."""
        taps = range(self.shape.columns.kernel)
        if self.shape.operator != "depthwise":
            return [None for _ in taps]
        return [self.emitter.let(load(self.arguments.weights, first + tap * block, width)) for tap in taps]

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

    def _finish(self, value: Expr, where: Expr, width: int) -> None:
        def read(index: int) -> Expr:
            return read_at(self.anatomy.kernel, self.arguments, index, where, width)

        result = apply_epilogue(self.emitter, self.anatomy, value, width, read)
        self.emitter.store(self.arguments.output, where, result, width)


TEMPLATE = Windowed()
