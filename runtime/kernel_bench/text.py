"""A kernel benchmark as a table of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from dsl.suggest import counted
from runtime.kernel_bench.rows import KernelBench, KernelReport, ordered
from runtime.text_table import table_lines

HEADER = (
    "kernel",
    "calls",
    "us",
    "of network",
    "GFLOP/s",
    "KiB",
    "FLOP/B",
    "bound us",
    "by",
    "share",
    "default us",
    "gain",
)


def report_lines(report: KernelReport, order: str) -> Iterator[str]:
    """The table for people, its limits above and what it leaves out below."""
    kernels = counted(len(report.kernels), "kernel")
    yield f"{report.network}: {counted(report.threads, 'thread')}, {kernels}, {_limits(report)}"
    if report.noise.get("noisy"):
        yield "the machine was busy: times are not to be trusted"
    header = (*HEADER, *[f"{name} us" for name in report.others], "under half of the bound because")
    rows = [_cells(kernel, report) for kernel in ordered(report.kernels, order)]
    yield from table_lines(header, rows, texts=(0, 8, len(header) - 1))
    yield from _sums(report)
    for name, reason in report.left_out.items():
        yield f"left out: {name}: {reason}"


def _limits(report: KernelReport) -> str:
    levels = ", ".join(f"{level.name} {level.gb_s:.0f}" for level in report.limits.levels)
    return f"peak {report.limits.peak_gflops:.0f} GFLOP/s, GB/s read from {levels}"


def _cells(kernel: KernelBench, report: KernelReport) -> tuple[str, ...]:
    has_work = kernel.gflops > 0
    return (
        kernel.name,
        str(kernel.calls),
        _us(kernel.time_us),
        f"{report.share_of_network(kernel):.1%}",
        f"{kernel.gflops:.0f}" if has_work else "",
        f"{kernel.bytes_moved / 1024:,.0f}",
        f"{kernel.intensity:.1f}" if has_work else "",
        _us(kernel.bound_us),
        kernel.limit,
        f"{kernel.share_of_bound:.0%}",
        _us(kernel.default_us),
        f"{kernel.gain:.2f}",
        *[_us(kernel.layers_us.get(name)) for name in report.others],
        kernel.reason,
    )


def _sums(report: KernelReport) -> Iterator[str]:
    """What the columns of times come to, and what other programs spend between the layers."""
    default_us = sum(kernel.calls * kernel.default_us for kernel in report.kernels)
    bound_us = sum(kernel.calls * kernel.bound_us for kernel in report.kernels)
    yield (
        f"all calls: {report.total_us / 1e3:.3f} ms, by default schedules {default_us / 1e3:.3f} ms, "
        f"bound {bound_us / 1e3:.3f} ms; a call that does next to nothing takes {_us(report.least_us)} us"
    )
    for name, version in report.others.items():
        layers_us = sum(kernel.calls * kernel.layers_us.get(name, 0.0) for kernel in report.kernels)
        between = report.elsewhere_us.get(name, 0.0)
        more = f", and {between / 1e3:.3f} ms besides" if between else ""
        yield f"{name} {version}: {layers_us / 1e3:.3f} ms in these layers{more}"
        absent = Counter(
            kernel.layers_absent[name] for kernel in report.kernels if name in kernel.layers_absent
        )
        for reason, count in absent.items():
            yield f"{name} has no time for {count} of the kernels: {reason}"


def _us(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"
