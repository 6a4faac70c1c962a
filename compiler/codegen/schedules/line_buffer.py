"""A depthwise convolution in one kernel with the convolution before it, the pointwise one after it, or both.

The tensors between them, the largest of an inverted bottleneck (Sandler et al., MobileNetV2, CVPR 2018), never
exist as a whole. The first convolution writes its rows into a ring of as many lines as the depthwise window is
high, each just before it is needed; the depthwise one writes one line, and the last one reads it. So what moves
between operators stays in the second-level cache, whatever the size of the image (fused-layer dataflow: Alwani
et al., "Fused-layer CNN accelerators", MICRO 2016).

The rows of the result are cut into `strips` that run in parallel; the lines above a strip are computed again.

Parameters: `strips`; `first_…`, `last_…` tile the convolutions as in `dense`; `window_…` the depthwise one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate

from compiler.chain import BEFORE, Chain, Part, chain_of, part_weights
from compiler.codegen.schedules import dense_rows, dense_tiles, window, window_rows
from compiler.codegen.schedules.dense_rows import DenseRows, Tiling, pack_dense
from compiler.codegen.schedules.emit import Emitter
from compiler.codegen.schedules.stage import Finish, Line, OutputLine, Stage, finish_into, whole_line
from compiler.codegen.schedules.template import (
    LINE_VALUES,
    Arguments,
    Array,
    Parameters,
    Weights,
    concatenate,
    dissect,
    image,
    packed_size,
)
from compiler.codegen.schedules.window_rows import WindowRows, pack_window
from compiler.codegen.tvm_api import Expr, tirx
from compiler.kernel import Kernel
from compiler.target import Target

RANKS = 6
"""So many of the best guesses are combined for each part."""
STRIPS_A_THREAD = (1, 2, 4)
LINES_FIRST = 8
"""An output of fewer rows a thread is not worth the lines that strips compute twice."""


class LineBuffer:
    """The template of chains around a depthwise convolution."""

    name = "line_buffer/1"
    operators = ()

    def applies(self, kernel: Kernel) -> bool:
        """A chain of two or three convolutions, the depthwise one among them."""
        return chain_of(kernel) is not None

    def candidates(self, kernel: Kernel, target: Target) -> list[Parameters]:
        """The best guesses of every part, those of the least total rank first."""
        chain = chain_of(kernel)
        assert chain is not None
        choices = [_tiles(name, part, target) for name, part in chain.parts.items()]
        choices.append([{"strips": count} for count in _strips(kernel, target)])
        ranked = sorted(_combined(choices), key=lambda ranks: (sum(ranks), max(ranks), ranks))
        return [
            {
                name: value
                for row, rank in zip(choices, ranks, strict=True)
                for name, value in row[rank].items()
            }
            for ranks in ranked
        ]

    def emit(
        self, emitter: Emitter, kernel: Kernel, parameters: Parameters, target: Target, arguments: Arguments
    ) -> None:
        """Write the strips, and in each the rows of all parts in turns."""
        chain = chain_of(kernel)
        assert chain is not None
        _Writer(emitter, chain, parameters, target, arguments).write()

    def pack(self, kernel: Kernel, parameters: Parameters, target: Target, weights: Weights) -> Array:
        """The constants of each part, one after another."""
        chain = chain_of(kernel)
        assert chain is not None
        packed = []
        for name, part in chain.parts.items():
            own, vectors = part_weights(part, weights), parameters[f"{name}_vectors"]
            if name == "window":
                packed.append(pack_window(_window_shape(part), vectors, target.lanes, own))
            else:
                packed.append(pack_dense(_row_shape(part), vectors, target.lanes, own))
        return concatenate(packed)


def _row_shape(part: Part) -> dense_tiles.Shape:
    return dense_tiles.row_shape_of(part.kernel, dissect(part.kernel))


def _window_shape(part: Part) -> window_rows.Shape:
    return window_rows.shape_of(part.kernel, dissect(part.kernel))


def _tiles(name: str, part: Part, target: Target) -> list[dict[str, int]]:
    """The best guesses at a part's tile, as parameters of the chain."""
    if name == "window":
        tiles = window.window_tiles(_window_shape(part), target)
        found: list[dict[str, int]] = [{"pixels": pixels, "vectors": vectors} for pixels, vectors in tiles]
    else:
        found = dense_tiles.row_candidates(_row_shape(part), target)
    return [{f"{name}_{key}": value for key, value in tile.items()} for tile in found[:RANKS]]


def _strips(kernel: Kernel, target: Target) -> list[int]:
    """Numbers of strips; one, where one thread runs."""
    rows = image(kernel.output)[0]
    if target.threads == 1:
        return [1]
    counts = [target.threads * factor for factor in STRIPS_A_THREAD]
    return [count for count in counts if rows // count >= LINES_FIRST] or [min(target.threads, rows)]


def _combined(choices: list[list[dict[str, int]]]) -> Iterator[tuple[int, ...]]:
    """Ranks of all combinations that differ from the best guess in a few places or by little."""

    def extend(ranks: tuple[int, ...], rest: list[list[dict[str, int]]]) -> Iterator[tuple[int, ...]]:
        if not rest:
            yield ranks
            return
        for rank in range(len(rest[0])):
            if sum(ranks) + rank < RANKS:
                yield from extend((*ranks, rank), rest[1:])

    return extend((), choices)


class _Writer:
    """Writes one kernel."""

    def __init__(
        self, emitter: Emitter, chain: Chain, parameters: Parameters, target: Target, arguments: Arguments
    ) -> None:
        self.emitter, self.chain, self.parameters = emitter, chain, parameters
        self.target, self.arguments = target, arguments
        self.shape = _window_shape(chain.window)
        sizes = [packed_size(part.kernel) - LINE_VALUES for part in chain.parts.values()]
        self.constants = dict(zip(chain.parts, accumulate(sizes, initial=0), strict=False))

    def write(self) -> None:
        """The strips."""
        rows, strips = self.shape.rows.extent, self.parameters["strips"]
        count = -(-rows // strips)
        with self.emitter.loop(strips, parallel=self.target.threads > 1) as strip:
            start = strip * count
            overlaps = strips * count > rows and not isinstance(start, int)
            self._strip(self.emitter.let(tirx.min(start, rows - count) if overlaps else start), count)

    def _strip(self, start: Expr, count: int) -> None:
        """`count` rows of the result."""
        first, last = self.chain.first, self.chain.last
        source, line = self._lines()
        output, output_line = self.arguments.output, None
        if last is not None:
            _, width, channels = image(self.chain.window.kernel.output)
            output, output_line = self.emitter.workspace(width * channels), _only_line
        window = self._window_rows(source, line, output, output_line)
        after = (
            None
            if last is None
            else self._dense_rows("last", last, output, _only_line, self.arguments.output, None)
        )

        def finish(row: Expr) -> None:
            window.row(row)
            if after is not None:
                after.row(row)

        if first is None:
            with self.emitter.loop(count) as turn:
                finish(self.emitter.let(start + turn))
        else:
            whole = whole_line(_row_shape(first))
            given = self.arguments.inputs[first.inputs[0]]
            before = self._dense_rows("first", first, given, whole, source, self._ring_line)
            self._turns(start, count, before, finish)

    def _turns(self, start: Expr, count: int, before: DenseRows, finish: Callable[[Expr], None]) -> None:
        """Before each row, the lines that it is the first to need; some turns ahead of the strip bring only lines."""
        emitter, window = self.emitter, self.shape.rows
        early = -(-(window.kernel - window.stride) // window.stride)
        top = emitter.let(tirx.max(window.place(start, 0), 0))
        with emitter.loop(count + early) as turn:
            row = emitter.let(start + turn - early)
            first = emitter.let(tirx.max(window.place(row, window.kernel - window.stride), top))
            stop = tirx.min(window.place(row, window.kernel), window.size)
            with emitter.loop(emitter.let(tirx.max(stop - first, 0)), first) as line:
                before.row(line)
            if early:
                with emitter.when(turn >= early):
                    finish(row)
            else:
                finish(row)

    def _lines(self) -> tuple[Expr, Line]:
        """Where the window's lines are, and the place of each: a ring of them, or an input as a whole."""
        window = self.shape.rows
        if self.chain.first is None:
            return self.arguments.inputs[self.chain.window.inputs[0]], whole_line(self.shape)
        ring = self.emitter.workspace(window.kernel * self._line_size)
        return ring, lambda row, tap: self._ring_line(window.place(row, tap))

    @property
    def _line_size(self) -> int:
        return self.shape.columns.size * self.shape.channels

    def _ring_line(self, row: Expr) -> Expr:
        return row % self.shape.rows.kernel * self._line_size

    def _window_rows(self, source: Expr, line: Line, output: Expr, output_line: OutputLine) -> WindowRows:
        base = self.constants["window"]
        pixels, vectors = self.parameters["window_pixels"], self.parameters["window_vectors"]
        weights = base + window_rows.first_weight(self.shape)
        finish = self._finish(self.chain.window, source, output, output_line)
        stage = Stage(source, self.arguments.weights, base, weights, line, finish)
        return WindowRows(self.emitter, self.shape, pixels, vectors, self.target.lanes, stage)

    def _dense_rows(
        self, name: str, part: Part, source: Expr, line: Line, output: Expr, output_line: OutputLine
    ) -> DenseRows:
        shape, base = _row_shape(part), self.constants[name]
        weights = base + dense_rows.first_weight(shape)
        finish = self._finish(part, source, output, output_line)
        stage = Stage(source, self.arguments.weights, base, weights, line, finish)
        tiling = Tiling.of(self.parameters, f"{name}_")
        return DenseRows(self.emitter, shape, tiling, self.target.lanes, stage)

    def _finish(self, part: Part, source: Expr, output: Expr, output_line: OutputLine) -> Finish:
        inputs = tuple(source if i == BEFORE else self.arguments.inputs[i] for i in part.inputs)
        arguments = Arguments(inputs, self.arguments.weights, output)
        return finish_into(self.emitter, dissect(part.kernel), arguments, output_line)


def _only_line(*row: Expr) -> Expr:
    """Where the line is in a buffer of one."""
    return 0


TEMPLATE = LineBuffer()
