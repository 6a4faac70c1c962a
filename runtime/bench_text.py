"""A benchmark as lines of text: the bundle and its peers in one table, and why others are not in it."""

from __future__ import annotations

from collections.abc import Iterator

from dsl.suggest import counted
from runtime.bench import BUNDLE
from runtime.benchmark import Benchmark
from runtime.text_table import table_lines

HEADER = ("", "version", "median ms", "p10", "p90", "ratio", "differs", "load ms", "first ms", "memory MB")
DISTURBED = "the machine was disturbed while it was timed: repeat it before quoting its times"
MEANING = "ratio: how many times as long as the bundle, the median over the turns; differs: from its answers"


def benchmark_lines(bench: Benchmark) -> Iterator[str]:
    """The benchmark for people, fastest first."""
    threads = counted(bench.threads, "thread")
    places = ", ".join(map(str, bench.cores))
    busy = f"; {DISTURBED}" if bench.noise.get("noisy") else ""
    remote = bench.machine.get("device")
    where = f"pinned to {places}" if remote is None else f"on the device `{remote}`"
    yield f"{bench.network}: {threads}, {where}; {counted(bench.runs, 'run')} of the bundle{busy}"
    yield from table_lines(HEADER, [cells for _, cells in sorted(_rows(bench))], texts=(0, 1))
    if bench.peers:
        yield MEANING
    for name in bench.left_out:
        yield f"left out: {left_out(bench, name)}"


def left_out(bench: Benchmark, name: str) -> str:
    """Why a peer is not in the table, with its name."""
    reason = bench.left_out[name]
    return reason if reason.startswith(name) else f"{name}: {reason}"


def _rows(bench: Benchmark) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Each contender's median and the cells of its row."""
    own = (bench.latency_p50_ms, bench.latency_p10_ms, bench.latency_p90_ms)
    version = bench.versions.get("onepath", "")
    costs = (bench.load_ms, bench.first_run_ms, bench.memory_mb)
    yield bench.latency_p50_ms, (BUNDLE, version, *map(_time, own), "1.00", "", *map(_cost, costs))
    for name, peer in bench.peers.items():
        times = (peer.latency_p50_ms, peer.latency_p10_ms, peer.latency_p90_ms)
        costs = (peer.load_ms, peer.first_run_ms, peer.memory_mb)
        differs = f"{bench.agreement[f'{BUNDLE}_{name}']:.0e}"
        cells = (name, peer.version, *map(_time, times), f"{peer.speedup:.2f}", differs, *map(_cost, costs))
        yield peer.latency_p50_ms, cells


def _time(value: float | None) -> str:
    """Milliseconds, to the tenth of a microsecond at least, and with three digits."""
    return (
        ""
        if value is None
        else f"{value:.3f}"
        if value >= 1
        else f"{value:.4f}"
        if value >= 0.01
        else f"{value:.3g}"
    )


def _cost(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"
