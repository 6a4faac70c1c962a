"""Convolutions and linear layers: a register tile of pixels by channels, summed over the window.

The tile is `pixels` output pixels of a row by `vectors` vectors of output channels, all in registers. A 1x1
convolution of stride 1 is one long row; a linear layer has one pixel, or one a token. Weights are packed in the
order in which they are read (`dense_rows`).

Parameters: `pixels`, `vectors`; `unroll` steps of the channel loop; `split` independent partial sums, for
tiles too small to hide the latency of an addition; `order`, the loops from the outside: 0 channels, rows,
pixels; 1 rows, channels, pixels; 2 rows, pixels, channels; `ahead`, whether the weights of the next block are
fetched while this one's are used, which gains up to 20% where they come from memory.
"""

from __future__ import annotations

from compiler.codegen.schedules.dense_rows import DenseRows, Tiling, first_weight, pack_dense
from compiler.codegen.schedules.dense_tiles import CHANNELS_FIRST, ROWS_FIRST, dense_candidates, shape_of
from compiler.codegen.schedules.emit import Emitter
from compiler.codegen.schedules.stage import Stage, finish_into, whole_line
from compiler.codegen.schedules.template import Arguments, Array, Parameters, Weights, dissect
from compiler.codegen.tvm_api import Expr
from compiler.kernel import Kernel
from compiler.target import Target


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
        shape = shape_of(kernel, anatomy)
        stage = Stage(
            arguments.inputs[anatomy.main],
            arguments.weights,
            0,
            first_weight(shape),
            whole_line(shape),
            finish_into(emitter, anatomy, arguments),
        )
        rows = DenseRows(emitter, shape, Tiling.of(parameters), target.lanes, stage)
        with emitter.loop(shape.groups) as group:
            _write_group(rows, group, parameters["order"], target.threads > 1)

    def pack(self, kernel: Kernel, parameters: Parameters, target: Target, weights: Weights) -> Array:
        """Bias, then the weights block by block."""
        shape = shape_of(kernel, dissect(kernel))
        return pack_dense(shape, parameters["vectors"], target.lanes, weights)


def _write_group(rows: DenseRows, group: Expr, order: int, parallel: bool) -> None:
    """The loops over channels, rows and pixels, in the order asked for."""
    emitter, extent = rows.emitter, rows.shape.rows.extent
    if order == CHANNELS_FIRST:
        for channels in rows.channel_runs:
            with emitter.loop(channels.count, parallel=parallel) as block, emitter.loop(extent) as row:
                rows.block(group, channels, block, row)
    elif order == ROWS_FIRST:
        with emitter.loop(extent, parallel=parallel) as row:
            for channels in rows.channel_runs:
                with emitter.loop(channels.count) as block:
                    rows.block(group, channels, block, row)
    else:
        outer = parallel and extent > 1
        with emitter.loop(extent, parallel=outer) as row:
            for tiles in rows.tile_runs:
                with emitter.loop(tiles.count, parallel=parallel and not outer) as index:
                    column = emitter.let(tiles.at(index, rows.tiling.pixels))
                    rows.all_channels(group, row, column, tiles)


TEMPLATE = Dense()
