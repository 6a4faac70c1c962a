"""Cutting a row of output pixels into register tiles, and channels into vectors.

The last tile of a row that does not divide overlaps its neighbour and computes some pixels twice, which
costs less than a second copy of the code. Tiles whose window touches the padding are written one by one,
with the taps outside left away; the others share a loop and know nothing of padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.codegen.schedules.emit import Emitter, split_lanes
from compiler.codegen.tvm_api import Expr, tirx
from compiler.ir.ops import pair
from compiler.kernel import Step


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window along one axis."""

    size: int
    extent: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def inside(self, position: int, tap: int) -> bool:
        """Whether the tap of that output position reads the input, not the padding."""
        return bool(0 <= self.place(position, tap) < self.size)

    def place(self, position: Expr, tap: Expr) -> Expr:
        """Where the tap reads."""
        return position * self.stride - self.padding + tap * self.dilation

    def clean(self, start: int, count: int) -> bool:
        """Whether no tap of these output positions reads the padding."""
        last = self.place(start + count - 1, self.kernel - 1)
        return bool(self.place(start, 0) >= 0 and last < self.size)


def step_windows(
    step: Step, height: int, width: int, extents: tuple[int, int], dilation: int
) -> tuple[Window, Window]:
    """The window that a step slides, down the columns and along the rows."""
    kernels, strides, paddings = (pair(step.settings, name) for name in ("kernel", "stride", "padding"))
    return (
        Window(height, extents[0], kernels[0], strides[0], paddings[0], dilation),
        Window(width, extents[1], kernels[1], strides[1], paddings[1], dilation),
    )


@dataclass(frozen=True, slots=True)
class TileRun:
    """Tiles at `start`, `start + tile`, …, none beyond `last`. A run that is not clean has one tile."""

    start: int
    count: int
    last: int
    clean: bool

    def at(self, index: Expr, tile: int) -> Expr:
        """The first position of a tile."""
        if self.count == 1:
            return self.start
        start = self.start + index * tile
        overlaps = self.start + (self.count - 1) * tile > self.last
        return tirx.min(start, self.last) if overlaps else start


def tile_runs(window: Window, tile: int) -> tuple[TileRun, ...]:
    """The tiles of one row, clean neighbours joined."""
    last = window.extent - tile
    starts = [min(start, last) for start in range(0, window.extent, tile)]
    runs: list[TileRun] = []
    for start in starts:
        clean = window.clean(start, tile)
        previous = runs[-1] if runs else None
        if clean and previous is not None and previous.clean:
            runs[-1] = TileRun(previous.start, previous.count + 1, start, True)
        else:
            runs.append(TileRun(start, 1, start, clean))
    return tuple(runs)


@dataclass(frozen=True, slots=True)
class ChannelRun:
    """`count` blocks of channels from `start` on, each of vectors of these widths."""

    start: int
    count: int
    widths: tuple[int, ...]

    @property
    def block(self) -> int:
        """Channels in a block."""
        return sum(self.widths)


def channel_runs(channels: int, vectors: int, lanes: int) -> tuple[ChannelRun, ...]:
    """Blocks of `vectors` full vectors, then one of what is left."""
    block = vectors * lanes
    full, rest = divmod(channels, block)
    runs = [ChannelRun(0, full, (lanes,) * vectors)] if full else []
    if rest:
        runs.append(ChannelRun(full * block, 1, split_lanes(rest, lanes)))
    return tuple(runs)


def imbalance(threads: int, loops: Sequence[tuple[int, float]]) -> float:
    """How much longer parallel loops of (turns, work of a turn) take than work that is shared evenly; at least 1."""
    longest = sum(-(-turns // threads) * work for turns, work in loops)
    even = sum(turns * work for turns, work in loops) / threads
    return longest / even if even else 1.0


def block_ranges(runs: Sequence[ChannelRun]) -> list[tuple[int, int]]:
    """The (start, stop) of every block in order."""
    return [
        (run.start + index * run.block, run.start + (index + 1) * run.block)
        for run in runs
        for index in range(run.count)
    ]


def window_range(emitter: Emitter, rows: Window, row: Expr) -> tuple[Expr, Expr]:
    """The first tap and the number of taps of the window that lie inside the image at an output row."""
    if rows.clean(0, rows.extent):
        return 0, rows.kernel
    if isinstance(row, int):
        taps = [tap for tap in range(rows.kernel) if rows.inside(row, tap)]
        return (taps[0], len(taps)) if taps else (0, 0)
    top = row * rows.stride - rows.padding
    first = emitter.let(tirx.max((rows.dilation - 1 - top) // rows.dilation, 0))
    stop = tirx.min((rows.size - 1 - top) // rows.dilation + 1, rows.kernel)
    return first, emitter.let(tirx.max(stop - first, 0))
