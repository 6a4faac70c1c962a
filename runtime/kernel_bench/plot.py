"""The roofline plot: operations a byte across, GFLOP/s up, both logarithmic, one dot a kernel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dsl.suggest import counted
from runtime.kernel_bench.limits import Limits
from runtime.kernel_bench.reasons import NEEDS_REASON
from runtime.kernel_bench.rows import KernelBench, KernelReport
from runtime.picture.shapes import Picture, Shape, circle, label, line, rectangle
from runtime.picture.templates import environment

STYLE = Path(__file__).parent / "templates/roofline.css"
WIDTH, HEIGHT = 960.0, 600.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 24.0, 84.0, 52.0
LARGEST_DOT = 40.0
SMALLEST_DOT = 2.5


@dataclass(frozen=True)
class _Axes:
    """The ranges of both axes, as logarithms to the base 10."""

    low_x: float
    high_x: float
    low_y: float
    high_y: float

    def at(self, intensity: float, gflops: float) -> tuple[float, float]:
        """The place of a point."""
        across = (math.log10(intensity) - self.low_x) / (self.high_x - self.low_x)
        up = (math.log10(gflops) - self.low_y) / (self.high_y - self.low_y)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def roofline_svg(report: KernelReport) -> str:
    """The plot as one SVG file: no script, no link; the same report gives the same bytes."""
    template = environment().get_template("picture.svg.j2")
    return template.render(picture=roofline_picture(report), style=STYLE.read_text(encoding="utf-8"))


def roofline_picture(report: KernelReport) -> Picture:
    """The plot: a dot where a kernel is, its area its share of the network, a ring where its default schedule is.

    Kernels without arithmetic (pooling, copies) have no place in it.
    """
    shown = [kernel for kernel in report.kernels if kernel.gflops > 0]
    axes = _axes(shown, report.limits)
    threads, kernels = counted(report.threads, "thread"), counted(len(shown), "kernel")
    text = (
        f"{threads}; {kernels} that compute; dots: as built, their area the share of the network's time, "
        "red under half of the bound; rings: by default schedules"
    )
    shapes = [
        rectangle(0, 0, WIDTH, HEIGHT, "page"),
        label(LEFT, 32, f"{report.network}: its kernels and the machine's limits", "title"),
        label(LEFT, 54, text, "faint"),
        *_grid(axes),
        *_roofs(axes, report.limits),
    ]
    for kernel in sorted(shown, key=lambda kernel: -kernel.total_us):
        shapes += _dot(axes, kernel, report.share_of_network(kernel))
    return Picture("roofline", f"Roofline of {report.network}", text, WIDTH, HEIGHT, tuple(shapes))


def _axes(kernels: list[KernelBench], limits: Limits) -> _Axes:
    ridges = [limits.peak_gflops / level.gb_s for level in limits.levels]
    across = [kernel.intensity for kernel in kernels] + ridges
    up = [kernel.gflops / max(1.0, kernel.gain) for kernel in kernels] + [limits.peak_gflops]
    return _Axes(
        math.log10(min(across) / 1.5),
        math.log10(max(across) * 1.5),
        math.log10(min(up) / 1.5),
        math.log10(max(*up, *[kernel.gflops for kernel in kernels], limits.peak_gflops) * 1.6),
    )


def _grid(axes: _Axes) -> Iterator[Shape]:
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value in _decades(axes.low_x, axes.high_x):
        x = axes.at(value, 1)[0]
        yield line(x, TOP, x, floor, "grid")
        yield label(x, floor + 18, f"{value:g}", "faint", "middle")
    for value in _decades(axes.low_y, axes.high_y):
        y = axes.at(1, value)[1]
        yield line(LEFT, y, right, y, "grid")
        yield label(LEFT - 8, y + 4, f"{value:g}", "faint", "end")
    yield line(LEFT, floor, right, floor, "axis")
    yield line(LEFT, TOP, LEFT, floor, "axis")
    yield label(right, floor + 38, "operations a byte moved", "faint", "end")
    yield label(LEFT, TOP - 8, "GFLOP/s", "faint", "middle")


def _decades(low: float, high: float) -> Iterator[float]:
    """1, 2 and 5 times the powers of ten between two logarithms."""
    for power in range(math.floor(low), math.ceil(high) + 1):
        for factor in (1, 2, 5):
            value = factor * 10.0**power
            if low <= math.log10(value) <= high:
                yield value


def _roofs(axes: _Axes, limits: Limits) -> Iterator[Shape]:
    """The peak, and for each level the line on which moving bytes takes as long as the arithmetic."""
    last = 10**axes.high_x
    ridges = [limits.peak_gflops / level.gb_s for level in limits.levels]
    peak_from, peak_to = axes.at(min(ridges), limits.peak_gflops), axes.at(last, limits.peak_gflops)
    yield line(*peak_from, *peak_to, "roof")
    yield label(peak_to[0] - 4, peak_to[1] - 7, f"peak {limits.peak_gflops:.0f} GFLOP/s", "roof-name", "end")
    for level, ridge in zip(limits.levels, ridges, strict=True):
        start = max(10**axes.low_x, 10**axes.low_y / level.gb_s)
        yield line(*axes.at(start, start * level.gb_s), *axes.at(ridge, limits.peak_gflops), "roof")
        x, y = axes.at(start, start * level.gb_s)
        yield label(x + 14, y - 3, f"{level.name} {level.gb_s:.0f} GB/s", "roof-name")


def _dot(axes: _Axes, kernel: KernelBench, share_of_network: float) -> Iterator[Shape]:
    place = axes.at(kernel.intensity, kernel.gflops)
    default = axes.at(kernel.intensity, kernel.gflops / kernel.gain)
    if abs(default[1] - place[1]) > 1:
        yield line(*default, *place, "gain")
        yield circle(*default, 3, "default")
    radius = max(SMALLEST_DOT, LARGEST_DOT * math.sqrt(share_of_network))
    css = "kernel slow" if kernel.share_of_bound < NEEDS_REASON else "kernel"
    rate = f"{kernel.time_us:.1f} us, {kernel.gflops:.0f} GFLOP/s, {kernel.share_of_bound:.0%} of its bound"
    yield circle(*place, radius, css, f"{kernel.name}: {rate}")
