"""The frame of a chart: two axes with ticks, and where a value stands between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.picture.shapes import Shape, label, line
from runtime.report.numbers import ticks

WIDTH, HEIGHT = 500.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 16.0, 34.0

Range = tuple[float, float]


@dataclass(frozen=True)
class Axes:
    """The ranges of the two axes, and the name of the lower; `whole` axes have ticks at whole numbers alone."""

    across: Range
    up: Range
    name: str
    whole: bool = False

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a value stands in the picture."""
        (first, last), (low, high) = self.across, self.up
        return (
            LEFT + (x - first) / (last - first) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM),
        )

    def shapes(self) -> list[Shape]:
        """Grid lines, ticks and the axis."""
        floor, (first, last), (low, high) = HEIGHT - BOTTOM, self.across, self.up
        shapes: list[Shape] = []
        for value in ticks(low, high):
            _, y = self.at(first, value)
            shapes.append(line(LEFT, y, WIDTH - RIGHT, y, "grid"))
            shapes.append(label(LEFT - 8, y + 4, f"{value:g}", "faint", "end"))
        for value in ticks(first, last, 5):
            x = self.at(value, low)[0]
            if not self.whole:
                shapes.append(label(x, floor + 17, f"{value:g}", "faint", "middle"))
            elif value == int(value):
                shapes.append(label(x, floor + 17, f"{value:,.0f}", "faint", "middle"))
        shapes.append(line(LEFT, floor, WIDTH - RIGHT, floor, "axis"))
        shapes.append(label(WIDTH - RIGHT, HEIGHT - 3, self.name, "faint", "end"))
        return shapes


def spread(values: Sequence[float], from_zero: bool = False, share: float = 0.08) -> Range:
    """The range of an axis that holds all values, with a margin of `share` of it, below only where it is free."""
    low, high = (0.0 if from_zero else min(values)), max(values)
    margin = (high - low) * share or abs(high) * 0.1 or 1.0
    return (low if from_zero else low - margin), high + margin
