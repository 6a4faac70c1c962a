"""Depthwise convolutions and pooling: vectors of channels, a register tile of output pixels.

Weights are packed in the order in which they are read (`window_rows`).

Parameters: `pixels`, `vectors` make the tile; `order` the loops from the outside: 0 channels, rows, pixels;
1 rows, channels, pixels; 2 rows, pixels, channels.

`avg_pool` divides by the number of values inside the image: PyTorch's count_include_pad=False.
"""

from __future__ import annotations

from compiler.codegen.schedules.emit import Emitter
from compiler.codegen.schedules.stage import Stage, finish_into, whole_line
from compiler.codegen.schedules.template import Arguments, Array, Parameters, Weights, dissect
from compiler.codegen.schedules.tiles import channel_runs, imbalance, tile_runs
from compiler.codegen.schedules.window_rows import Shape, WindowRows, first_weight, pack_window, shape_of
from compiler.kernel import Kernel
from compiler.target import Target

CHANNELS_FIRST, ROWS_FIRST, PIXELS_FIRST = 0, 1, 2
CROWDED = 1.15
"""What a tile loses that fills more than half of the registers, as measured on Zen 5."""


class Windowed:
    """The template of `depthwise`, `max_pool` and `avg_pool`."""

    name = "window/1"
    operators = ("depthwise", "max_pool", "avg_pool")

    def applies(self, kernel: Kernel) -> bool:
        """A window over every channel by itself first."""
        return kernel.steps[0].operator in self.operators

    def candidates(self, kernel: Kernel, target: Target) -> list[Parameters]:
        """Tiles as `window_tiles` ranks them, the channels' loop outside first."""
        shape = shape_of(kernel, dissect(kernel))
        tiles = window_tiles(shape, target)
        orders = enumerate((CHANNELS_FIRST, ROWS_FIRST, PIXELS_FIRST))
        ranked = [
            (_rank(shape, target, rank, tile, order) + 3 * place, tile, order)
            for place, order in orders
            for rank, tile in enumerate(tiles)
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
        shape = shape_of(kernel, anatomy)
        stage = Stage(
            arguments.inputs[anatomy.main],
            arguments.weights,
            0,
            first_weight(shape),
            whole_line(shape),
            finish_into(emitter, anatomy, arguments),
        )
        rows = WindowRows(emitter, shape, parameters["pixels"], parameters["vectors"], target.lanes, stage)
        _write(rows, parameters["order"], target.threads > 1)

    def pack(self, kernel: Kernel, parameters: Parameters, target: Target, weights: Weights) -> Array:
        """Bias, then the window's weights block by block."""
        return pack_window(shape_of(kernel, dissect(kernel)), parameters["vectors"], target.lanes, weights)


def _write(rows: WindowRows, order: int, parallel: bool) -> None:
    """The loops over channels, rows and pixels, in the order asked for."""
    emitter, extent = rows.emitter, rows.shape.rows.extent
    if order == CHANNELS_FIRST:
        for channels in rows.channel_runs:
            with emitter.loop(channels.count, parallel=parallel) as block, emitter.loop(extent) as row:
                rows.block(channels, block, row)
        return
    with emitter.loop(extent, parallel=parallel) as row:
        if order == ROWS_FIRST:
            rows.row(row)
        else:
            for tiles in rows.tile_runs:
                with emitter.loop(tiles.count) as index:
                    rows.all_channels(row, emitter.let(tiles.at(index, rows.pixels)), tiles)


def window_tiles(shape: Shape, target: Target) -> list[tuple[int, int]]:
    """Tiles (pixels, vectors) that fit into the registers, in the order of a simple count of cycles."""
    return sorted(_fitting(shape, target), key=lambda tile: (_cycles(shape, target, *tile), tile))


def _fitting(shape: Shape, target: Target) -> list[tuple[int, int]]:
    most = -(-shape.channels // target.lanes)
    room = target.registers * 2 // 3
    return [
        (pixels, vectors)
        for vectors in range(1, min(most, 4) + 1)
        for pixels in range(1, min(shape.columns.extent, 16) + 1)
        if pixels * vectors <= room
    ]


def _rank(shape: Shape, target: Target, rank: int, tile: tuple[int, int], order: int) -> float:
    """The place of a tile among all, put back by what the threads lose to uneven shares: 1% counts a place."""
    rows = [(shape.rows.extent, 1.0)]
    runs = channel_runs(shape.channels, tile[1], target.lanes)
    loops = [(run.count, float(run.block)) for run in runs] if order == CHANNELS_FIRST else rows
    return rank + 100 * (imbalance(target.threads, loops) - 1)


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


TEMPLATE = Windowed()
