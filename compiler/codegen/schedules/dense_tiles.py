"""Which register tiles of a convolution are worth trying, the best guess first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from compiler.codegen.schedules.template import Anatomy, Parameters, image, setting
from compiler.codegen.schedules.tiles import Window, channel_runs, imbalance, step_windows, tile_runs
from compiler.kernel import FP32_BYTES, Kernel
from compiler.target import Target

CHANNELS_FIRST, ROWS_FIRST, PIXELS_FIRST = 0, 1, 2
CROWDED = 1.05
"""What a tile loses that fills more than two thirds of the registers, as measured on Zen 5."""
UNUSUAL = 0.02
"""What an order of loops is thought to cost that is not the first guess, with several threads."""
STREAMED_PIXELS = 1024
"""With more output pixels than this, fetching the weights is a small part of the work."""
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
    def pointwise(self) -> bool:
        """Whether each output pixel reads just the input pixel at its place."""
        return all(
            (window.kernel, window.stride, window.padding) == (1, 1, 0)
            for window in (self.rows, self.columns)
        )

    @property
    def taps(self) -> int:
        """Products per output value."""
        return self.rows.kernel * self.columns.kernel * self.channels_per_group


def shape_of(kernel: Kernel, anatomy: Anatomy) -> Shape:
    """The convolution or linear layer that the anchor is; pointwise ones as a single row."""
    step = anatomy.anchor
    assert step is not None
    if step.operator == "linear":
        _, width, channels = image(kernel.inputs[anatomy.main])
        out, bias = setting(step, "out"), bool(step.settings["bias"])
        return Shape(Window(1, 1), Window(width, width), channels, out, 1, bias)
    shape = row_shape_of(kernel, anatomy)
    pixels = shape.rows.size * shape.columns.size
    return replace(shape, rows=Window(1, 1), columns=Window(pixels, pixels)) if shape.pointwise else shape


def row_shape_of(kernel: Kernel, anatomy: Anatomy) -> Shape:
    """The convolution that the anchor is, row by row of its image."""
    step = anatomy.anchor
    assert step is not None
    height, width, channels = image(kernel.inputs[anatomy.main])
    out_height, out_width, _ = image(kernel.values[len(kernel.inputs)])
    windows = step_windows(step, height, width, (out_height, out_width), setting(step, "dilation"))
    out, groups, bias = setting(step, "out"), setting(step, "groups"), bool(step.settings["bias"])
    return Shape(*windows, channels, out, groups, bias)


def dense_candidates(shape: Shape, target: Target) -> list[Parameters]:
    """Tiles in the order of a simple count of cycles; the loop orders of the best ones."""
    tiles = sorted(_tiles(shape, target), key=lambda tile: (_cycles(shape, target, *tile), tile))
    orders = _orders(shape, target)
    if target.threads == 1:
        ranked = [
            (rank + 1.5 * place, tile, order) for rank, tile in enumerate(tiles) for place, order in orders
        ]
    else:
        ranked = [
            (
                _cycles(shape, target, *tile)
                * _imbalance(shape, target, tile, order)
                * (1 + UNUSUAL * place),
                tile,
                order,
            )
            for tile in tiles
            for place, order in orders
        ]
    ranked.sort(key=lambda item: item[0])
    return [_parameters(shape, tile, order, target) for _, tile, order in ranked]


def row_candidates(shape: Shape, target: Target) -> list[dict[str, int]]:
    """Tiles for a row at a time, in the same order: `pixels`, `vectors`, `unroll`, `split`."""
    one_row = replace(shape, rows=Window(1, 1))
    tiles = sorted(_tiles(one_row, target), key=lambda tile: (_cycles(one_row, target, *tile), tile))
    wanted = ("pixels", "vectors", "unroll", "split")
    found = [_parameters(shape, tile, ROWS_FIRST, target) for tile in tiles]
    return [{name: parameters[name] for name in wanted} for parameters in found]


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
    crowded = CROWDED if pixels * vectors > target.registers * 2 // 3 else 1.0
    return crowded * total * columns * shape.rows.extent * shape.groups


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


def _imbalance(shape: Shape, target: Target, tile: tuple[int, int], order: int) -> float:
    """What the parallel loop of an order loses because its turns do not divide by the threads."""
    pixels, vectors = tile
    runs = channel_runs(shape.out_per_group, vectors, target.lanes)
    if order == CHANNELS_FIRST:
        return imbalance(target.threads, [(run.count, run.block) for run in runs])
    if order == ROWS_FIRST or shape.rows.extent > 1:
        return imbalance(target.threads, [(shape.rows.extent, 1.0)])
    return imbalance(target.threads, [(run.count, 1.0) for run in tile_runs(shape.columns, pixels)])


def _split(shape: Shape, pixels: int, vectors: int) -> int:
    """Partial sums so that latency is hidden; at most one a channel."""
    wanted = -(-FMA_LATENCY * FMA_UNITS // (pixels * vectors))
    return max(1, min(wanted, 4, shape.channels_per_group))


def _parameters(shape: Shape, tile: tuple[int, int], order: int, target: Target) -> Parameters:
    pixels, vectors = tile
    split = _split(shape, pixels, vectors)
    unroll = min(shape.channels_per_group, max(split, 4 if pixels * vectors > 4 else 8))
    return {
        "pixels": pixels,
        "vectors": vectors,
        "unroll": unroll,
        "split": split,
        "order": order,
        "ahead": int(order == CHANNELS_FIRST and _streams(shape, target)),
    }


def _streams(shape: Shape, target: Target) -> bool:
    """Whether the weights are likely to come from memory, and there are tiles enough to fetch them behind."""
    weights = FP32_BYTES * shape.taps * shape.out
    pixels = shape.rows.extent * shape.columns.extent
    return weights > target.l2_bytes // 8 and 1 < pixels <= STREAMED_PIXELS
