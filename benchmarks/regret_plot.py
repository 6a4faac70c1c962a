"""The plot of regret against queries: a line for each strategy's median, a band between its quartiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.picture.shapes import Picture, Shape, group, label, line, polygon, polyline, rectangle
from runtime.picture.templates import environment
from runtime.report.axes import HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axes

FIRST = 10
"""Regrets before so many queries are left out: they would fill the height."""
STYLE = """
text { font: 11px system-ui, sans-serif; fill: #333; }
.page { fill: #fff; } .grid { stroke: #e4e4e4; } .axis { stroke: #666; } .faint { fill: #777; }
.course { fill: none; stroke-width: 1.8; } .band { opacity: 0.15; } .key { stroke-width: 3; }
.s0 .course, .s0 .key { stroke: #888; } .s0 .band { fill: #888; }
.s1 .course, .s1 .key { stroke: #1d7a46; } .s1 .band { fill: #1d7a46; }
.s2 .course, .s2 .key { stroke: #b3421e; } .s2 .band { fill: #b3421e; }
"""
"""A class for each of up to three strategies, in their order."""

Quartiles = Sequence[tuple[float, float, float]]


def regret_svg(strategies: Mapping[str, Quartiles], seeds: int) -> str:
    """One SVG file: no script, no link; the same regrets give the same bytes."""
    template = environment().get_template("picture.svg.j2")
    return template.render(picture=regret_picture(strategies, seeds), style=STYLE)


def regret_picture(strategies: Mapping[str, Quartiles], seeds: int) -> Picture:
    """Lower quartile, median and upper quartile of the regret after each query, by strategy."""
    queries = max(len(rows) for rows in strategies.values())
    first = min(FIRST, queries)
    highest = max(rows[first - 1][2] for rows in strategies.values())
    axes = Axes(
        (first, max(queries, first + 1)), (0.0, highest * 1.05 or 1.0), "distinct networks judged", whole=True
    )
    text = f"Regret in percentage points: median of {seeds} seeds, and the quartiles as a band."
    shapes = [rectangle(0, 0, WIDTH, HEIGHT, "page"), *axes.shapes(), label(LEFT, TOP - 5, text, "faint")]
    for number, (name, rows) in enumerate(strategies.items()):
        shapes.append(_strategy(axes, number, name, rows, first))
    return Picture("regret", "Regret against networks judged", text, WIDTH, HEIGHT, tuple(shapes))


def _strategy(axes: Axes, number: int, name: str, rows: Quartiles, first: int) -> Shape:
    low, middle, high = (
        [axes.at(at, row[part]) for at, row in enumerate(rows, 1) if at >= first] for part in range(3)
    )
    x, y = WIDTH - RIGHT - 110, TOP + 14 + 16 * number
    return group(
        (
            polygon([*low, *reversed(high)], "band"),
            polyline(middle, "course"),
            line(x, y - 4, x + 18, y - 4, "key"),
            label(x + 24, y, name, "name"),
        ),
        f"s{number}",
    )
