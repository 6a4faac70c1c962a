"""What stands in the picture of a graph: boxes with their lines and options, and the wires between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as OneOf

State = OneOf["open", "chosen", "pale"]
"""Open where nothing was chosen; pale for what is not taken or not reached."""
Kind = OneOf["terminal", "operators", "merge", "decision", "folded"]


@dataclass(frozen=True)
class Cell:
    """One option of a decision. `family` says what it computes, `share` its probability from 0 to 1."""

    label: str
    title: str
    family: str = ""
    state: State = "open"
    share: float | None = None


@dataclass(frozen=True)
class Row:
    """The options of one decision; `title` is what a pointer over its label shows."""

    label: str
    title: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Line:
    """A line of a box: what computes, and the elementwise operators that follow it."""

    text: str
    detail: str = ""
    title: str = ""


@dataclass(frozen=True)
class Pane:
    """A candidate that holds decisions itself, drawn inside its box."""

    label: str
    title: str
    diagram: Diagram


@dataclass(frozen=True)
class Box:
    """A place of the picture.

    `place` names where its operators stand in the file, outermost first; `output` is the type of its value
    where that differs from what enters. `residual` says that some candidate adds what enters to what leaves.
    """

    kind: Kind
    place: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    rows: tuple[Row, ...] = ()
    panes: tuple[Pane, ...] = ()
    output: str = ""
    residual: bool = False
    title: str = ""


@dataclass(frozen=True)
class Wire:
    """A value on its way from one box to another, by their places in `Diagram.boxes`; `pale` if nobody reads it."""

    source: int
    target: int
    pale: bool = False


@dataclass(frozen=True)
class Diagram:
    """Boxes in topological order and the wires between them."""

    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
