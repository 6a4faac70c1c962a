"""Pictures as values: shapes with their attributes, which the template prints as SVG.

Colours are CSS classes, so that one picture serves light and dark pages. Coordinates are rounded to a
tenth of a pixel, which keeps the text short and stable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """One SVG element; `title` is what a pointer over it shows, `text` what a text element says.

    `children` stand in it, behind its text: those of a group, or the later parts of a text.
    """

    tag: str
    attributes: tuple[tuple[str, str], ...]
    text: str = ""
    title: str = ""
    children: tuple[Shape, ...] = ()


@dataclass(frozen=True)
class Picture:
    """An SVG drawing with the title and description that a screen reader speaks."""

    key: str
    title: str
    description: str
    width: float
    height: float
    shapes: tuple[Shape, ...]


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _shape(tag: str, numbers: dict[str, float], css: str, title: str = "", **more: str) -> Shape:
    attributes = [*[(name, _number(value)) for name, value in numbers.items()], *more.items()]
    return Shape(tag, (*attributes, ("class", css)), title=title)


def rectangle(
    x: float,
    y: float,
    width: float,
    height: float,
    css: str,
    radius: float = 0,
    title: str = "",
    opacity: float = 1,
) -> Shape:
    """A rectangle; `opacity` is that of its filling."""
    numbers = {"x": x, "y": y, "width": max(width, 0), "height": max(height, 0)} | (
        {"rx": radius} if radius else {}
    )
    more = {"fill-opacity": f"{opacity:.2f}"} if opacity != 1 else {}
    return _shape("rect", numbers, css, title, **more)


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> Shape:
    """A straight line."""
    return _shape("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2}, css)


def circle(x: float, y: float, radius: float, css: str, title: str = "") -> Shape:
    """A dot."""
    return _shape("circle", {"cx": x, "cy": y, "r": radius}, css, title)


def polyline(points: Sequence[tuple[float, float]], css: str) -> Shape:
    """An open line through points."""
    text = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
    return Shape("polyline", (("points", text), ("class", css)))


def polygon(points: Sequence[tuple[float, float]], css: str) -> Shape:
    """A filled outline through points."""
    text = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
    return Shape("polygon", (("points", text), ("class", css)))


def path(data: str, css: str) -> Shape:
    """A line of straight and curved pieces, in SVG's path language (see `move`, `straight`, `curve`)."""
    return Shape("path", (("d", data), ("class", css)))


def move(x: float, y: float) -> str:
    """The piece of a path that begins at a point."""
    return f"M{_number(x)} {_number(y)}"


def straight(x: float, y: float) -> str:
    """The piece of a path that goes straight to a point."""
    return f"L{_number(x)} {_number(y)}"


def curve(*points: tuple[float, float]) -> str:
    """The piece of a path that bends to the last of three points: a cubic Bézier curve."""
    return "C" + " ".join(f"{_number(x)} {_number(y)}" for x, y in points)


def group(children: Sequence[Shape], css: str, title: str = "", x: float = 0, y: float = 0) -> Shape:
    """Shapes that share a tooltip and a class, moved by `x` and `y`."""
    moved = (("transform", f"translate({_number(x)} {_number(y)})"),) if x or y else ()
    return Shape("g", (("class", css), *moved), title=title, children=tuple(children))


def label(
    x: float,
    y: float,
    text: str,
    css: str = "label",
    anchor: str = "start",
    turned: bool = False,
    detail: str = "",
) -> Shape:
    """Text whose baseline starts (or ends, or has its middle) at a point; `turned` reads upwards.

    `detail` goes on behind it, in a part of class `detail`.
    """
    place = (("x", _number(x)), ("y", _number(y)))
    turn = (("transform", f"rotate(-90 {_number(x)} {_number(y)})"),) if turned else ()
    behind = (Shape("tspan", (("class", "detail"), ("dx", "5")), detail),) if detail else ()
    return Shape("text", (*place, ("text-anchor", anchor), *turn, ("class", css)), text, children=behind)
