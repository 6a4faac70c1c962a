"""One operator inside a kernel, as the code that writes its rows sees it.

A kernel of one operator reads its input and writes its output row by row; in a chain of operators a row may
come from a buffer of a few lines instead, or go into one. The writers of rows know only this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from compiler.codegen.schedules.emit import Emitter
from compiler.codegen.schedules.template import Anatomy, Arguments, apply_epilogue, image, read_at
from compiler.codegen.schedules.tiles import Window
from compiler.codegen.tvm_api import Expr


class Windows(Protocol):
    """A shape whose window slides down `rows` of an image of so many columns and channels."""

    @property
    def rows(self) -> Window:
        """The window down the columns."""

    @property
    def columns(self) -> Window:
        """The window along the rows."""

    @property
    def channels(self) -> int:
        """Channels of the image."""


Line = Callable[[Expr, Expr], Expr]
OutputLine = Callable[[Expr], Expr] | None
Finish = Callable[[Expr, Expr, Expr, Expr, int], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where an operator finds its rows and constants, and what becomes of its results.

    `line(row, tap)` is where the input line lies that the window's row `tap` reads for output row `row`, in fp32
    values from the start of `image`. The bias begins at `bias` in `constants`, the packed weights at `weights`.
    `finish(value, row, column, channel, lanes)` takes `lanes` neighbouring channels of one output pixel.
    """

    image: Expr
    constants: Expr
    bias: int
    weights: int
    line: Line
    finish: Finish


def whole_line(shape: Windows) -> Line:
    """`Stage.line` of an image that lies in memory as a whole."""
    return lambda row, tap: shape.rows.place(row, tap) * (shape.columns.size * shape.channels)


def finish_into(emitter: Emitter, anatomy: Anatomy, arguments: Arguments, line: OutputLine = None) -> Finish:
    """`Stage.finish` that applies the kernel's epilogue and stores the result.

    Row `r` of the result is stored at `line(r)` of the output, which is an image as a whole if there is no `line`.
    """
    kernel = anatomy.kernel
    _, width, channels = image(kernel.output)

    def finish(value: Expr, row: Expr, column: Expr, channel: Expr, lanes: int) -> None:
        inside = column * channels + channel
        whole = emitter.let(row * (width * channels) + inside)
        place = whole if line is None else emitter.let(line(row) + inside)

        def read(index: int) -> Expr:
            return read_at(kernel, arguments, index, whole, lanes)

        emitter.store(arguments.output, place, apply_epilogue(emitter, anatomy, value, lanes, read), lanes)

    return finish
