"""What the report says of the kernels: a line for each, with bars for its time and its share of the peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.kernel import parse
from dsl.suggest import counted
from runtime.benchmark import Benchmark, KernelRow
from runtime.picture.shapes import Picture, rectangle
from runtime.report.layers import describe, shape
from runtime.report.numbers import figures, microseconds, milliseconds, percent, times

NOTHING = "\N{EN DASH}"
BAR_WIDTH, BAR_HEIGHT = 132.0, 12.0


@dataclass(frozen=True)
class KernelLine:
    """One row of the kernels' table; the pictures are bars."""

    title: str
    detail: str
    calls: str
    total: str
    total_bar: Picture
    once: str
    gflops: str
    share: str
    share_bar: Picture
    bandwidth: str
    untuned: str
    speedup: str
    signature: str


def kernel_lines(rows: Sequence[KernelRow]) -> list[KernelLine]:
    """A line for each kernel, the longest in all first."""
    longest = max((row.total_ms for row in rows), default=1.0)
    ranked = sorted(rows, key=lambda row: (-row.total_ms, row.signature))
    return [_kernel_line(number, row, longest) for number, row in enumerate(ranked)]


def _kernel_line(number: int, row: KernelRow, longest: float) -> KernelLine:
    kernel = parse(row.signature)
    places = f" · {', '.join(row.places)}" if row.places else ""
    untuned = row.untuned_time_ms
    return KernelLine(
        title=describe(kernel),
        detail=f"{shape(kernel.inputs[0])} → {shape(kernel.output)}{places}",
        calls=str(row.calls),
        total=microseconds(row.total_ms),
        total_bar=_bar(
            f"time-{number}", "mine", row.total_ms / longest, f"{milliseconds(row.total_ms)} in all"
        ),
        once=microseconds(row.time_ms),
        gflops=figures(row.gflops) if kernel.macs else NOTHING,
        share=percent(row.share_of_peak, 0) if kernel.macs else NOTHING,
        share_bar=_bar(f"share-{number}", "predicted", min(row.share_of_peak, 1.0), "share of peak"),
        bandwidth=figures(row.gigabytes_per_s),
        untuned=NOTHING if untuned is None else microseconds(untuned),
        speedup=NOTHING if untuned is None else times(untuned / row.time_ms, 2),
        signature=row.signature,
    )


def _bar(key: str, css: str, share: float, title: str) -> Picture:
    shapes = (
        rectangle(0, 0, BAR_WIDTH, BAR_HEIGHT, "track", 3),
        rectangle(0, 0, BAR_WIDTH * share, BAR_HEIGHT, f"bar {css}", 3, title),
    )
    return Picture(key, title, "", BAR_WIDTH, BAR_HEIGHT, shapes)


def kernel_words(bench: Benchmark) -> str:
    """What stands over the table."""
    total = sum(row.total_ms for row in bench.kernels)
    calls = sum(row.calls for row in bench.kernels)
    return (
        f"{counted(len(bench.kernels), 'distinct kernel')}, {counted(calls, 'call')}, {milliseconds(total)} together: "
        f"{percent(total / bench.latency_p50_ms, 0)} of the network's median. Times are of one call in the network. "
        "The peak is this machine's, measured with as many threads."
    )
