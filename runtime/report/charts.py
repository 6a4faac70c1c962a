"""Line charts of a search's course, and bars of latencies and stage times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from runtime.picture.shapes import Picture, Shape, circle, label, line, polygon, polyline, rectangle
from runtime.report.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axes, spread
from runtime.report.numbers import figures, milliseconds, percent, seconds, ticks

WIDE = 1040.0
GLYPH = 7.4
"""The width of a bold figure, about: an SVG cannot ask its font."""


@dataclass(frozen=True)
class Course:
    """One measure over the steps. `limit` is drawn as a dashed line with `limit_name`.

    `stairs` holds each value until the next one; `dots` are single values that are drawn beside the line.
    """

    key: str
    title: str
    unit: str
    points: tuple[tuple[float, float], ...]
    limit: float | None = None
    limit_name: str = ""
    from_zero: bool = False
    stairs: bool = False
    dots: tuple[tuple[float, float], ...] = ()
    x_name: str = "step"


def course_picture(course: Course) -> Picture:
    """A line with its axes; the last value stands at its end."""
    every = [*course.points, *course.dots]
    xs, ys = [x for x, _ in course.points], [y for _, y in course.points]
    first, last = min(x for x, _ in every), max(x for x, _ in every)
    high = [y for _, y in every] + ([course.limit] if course.limit is not None else [])
    axes = Axes((first, max(last, first + 1)), spread(high, course.from_zero), course.x_name, whole=True)

    shapes, floor = axes.shapes(), HEIGHT - BOTTOM
    shapes += [circle(*axes.at(*dot), 2.2, "dot") for dot in course.dots]
    points = [axes.at(*point) for point in (_stairs(course.points) if course.stairs else course.points)]
    if course.dots:
        shapes.append(label(LEFT, TOP - 5, "line: the best so far; grey: each one judged", "faint"))
    else:
        shapes.append(polygon([(points[0][0], floor), *points, (points[-1][0], floor)], "area"))
    shapes.append(polyline(points, "course"))
    limit_y = None if course.limit is None else axes.at(first, course.limit)[1]
    if limit_y is not None:
        shapes.append(line(LEFT, limit_y, WIDTH - RIGHT, limit_y, "limit"))
        shapes.append(label(LEFT + 6, limit_y - 5, course.limit_name, "limit-label"))
    where = f"{course.x_name} {xs[-1]:g}: {figures(ys[-1])} {course.unit}"
    shapes.append(circle(*points[-1], 3.5, "end", where))
    shapes.append(_last_value(points[-1], ys[-1], limit_y))
    text = f"From {figures(ys[0])} to {figures(ys[-1])} {course.unit} in {len(ys)} points."
    return Picture(course.key, course.title, text.replace("  ", " "), WIDTH, HEIGHT, tuple(shapes))


def _stairs(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    corners = [(after[0], before[1]) for before, after in pairwise(points)]
    return [points[0], *(place for step in zip(corners, points[1:], strict=True) for place in step)]


def _last_value(place: tuple[float, float], value: float, limit_y: float | None) -> Shape:
    """The last value, over the line's end, or under it where the frame or the limit is in the way."""
    x, y = place
    under = y < TOP + 22 or (limit_y is not None and y - 26 < limit_y < y)
    text = f"{value:,.0f}" if value == int(value) else figures(value)
    return label(x - 6, y + 18 if under else y - 9, text, "value", "end")


@dataclass(frozen=True)
class Bar:
    """One row of a latency picture; `high_ms` ends a whisker, `css` colours it."""

    name: str
    value_ms: float
    css: str
    high_ms: float | None = None
    note: str = ""


def latency_picture(bars: Sequence[Bar], cap_ms: float | None) -> Picture:
    """Bars of latencies on one axis; one that is far longer than the others is cut, with its number."""
    row, left, right = 34.0, 190.0, 190.0
    shown = [bar.value_ms for bar in bars if bar.css != "far"] or [bar.value_ms for bar in bars]
    top_ms = max([*shown, *[bar.high_ms or 0 for bar in bars if bar.css != "far"], cap_ms or 0]) * 1.06
    scale = (WIDE - left - right) / top_ms
    height = row * len(bars) + 34
    shapes: list[Shape] = []
    for value in ticks(0, top_ms, 6):
        shapes.append(line(left + value * scale, 4, left + value * scale, height - 26, "grid"))
        shapes.append(label(left + value * scale, height - 9, f"{value:g}", "faint", "middle"))
    shapes.append(label(left - 14, height - 9, "ms", "faint", "end"))
    for index, bar in enumerate(bars):
        shapes += _bar(bar, 8 + index * row, left, scale, top_ms)
    if cap_ms is not None:
        x = left + cap_ms * scale
        shapes.append(line(x, 0, x, height - 26, "limit"))
        shapes.append(label(x + 5, 8, f"cap {milliseconds(cap_ms)}", "limit-label"))
    text = "; ".join(f"{bar.name} {milliseconds(bar.value_ms)}" for bar in bars)
    return Picture("latency", "Latency, predicted and measured", text, WIDE, height, tuple(shapes))


def _bar(bar: Bar, y: float, left: float, scale: float, top_ms: float) -> list[Shape]:
    cut = bar.value_ms > top_ms
    end = left + min(bar.value_ms, top_ms) * scale
    title = f"{bar.name}: {milliseconds(bar.value_ms)}{bar.note and ', ' + bar.note}"
    shapes = [
        label(left - 14, y + 15, bar.name, "label", "end"),
        rectangle(left, y, end - left, 20, f"bar {bar.css}", 3, title),
    ]
    if cut:
        middle = (left + end) / 2
        points = [(middle - 8, y + 24), (middle - 1, y - 4), (middle + 7, y - 4), (middle, y + 24)]
        shapes.append(polygon(points, "cut"))
    if bar.high_ms is not None:
        x = left + bar.high_ms * scale
        shapes += [line(end, y + 10, x, y + 10, "whisker"), line(x, y + 5, x, y + 15, "whisker")]
        end = x
    shapes.append(label(end + 8, y + 15, milliseconds(bar.value_ms), "value"))
    if bar.note:
        after = end + 14 + GLYPH * len(milliseconds(bar.value_ms))
        shapes.append(label(after, y + 15, bar.note, "faint"))
    return shapes


def stages_picture(stages_s: Sequence[tuple[str, float]]) -> Picture:
    """Where the time of the run went: one bar, a part for each stage."""
    total = sum(time_s for _, time_s in stages_s) or 1.0
    shapes: list[Shape] = []
    x = 0.0
    for index, (name, time_s) in enumerate(stages_s):
        width = time_s / total * WIDE
        title = f"{name}: {seconds(time_s)}, {percent(time_s / total, 0)}"
        shapes.append(rectangle(x, 0, max(width - 2, 0.5), 30, f"stage s{index % 6}", 3, title))
        if width > 9 * len(name) + 16:
            shapes.append(label(x + 8, 20, name, "on"))
        x += width
    text = "; ".join(f"{name} {seconds(time_s)}" for name, time_s in stages_s)
    return Picture("stages", "Time of each stage", text, WIDE, 32, tuple(shapes))
