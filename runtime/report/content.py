"""Decide what the report says: a `Page` holds every word, number and picture, ready to be printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compiler.cost import cost
from dsl.suggest import counted
from runtime.benchmark import Benchmark
from runtime.peers import PEERS
from runtime.picture.shapes import Picture
from runtime.report.architecture import architecture_picture
from runtime.report.charts import Bar, latency_picture, stages_picture
from runtime.report.kernels_part import KernelLine, kernel_lines, kernel_words
from runtime.report.numbers import (
    apart,
    count,
    figures,
    milliseconds,
    percent,
    scientific,
    seconds,
    times,
)
from runtime.report.search_part import SearchPart, search_part, training_pictures
from runtime.report.summary import summary_cells, summary_header, summary_of
from runtime.report.values import Report

PEER_TITLES = {peer.NAME: peer.TITLE for peer in PEERS}
_UNITS = {"_gflops": "GFLOP/s", "_gb_s": "GB/s", "_mb": "MB", "_ms": "ms", "_bytes": "B", "_s": "s"}
AGREEMENT_LIMIT = 1e-4
PREDICTION_LIMIT = 0.15
FAR = 4.0
"""A latency more than this times the bundle's is drawn cut."""


@dataclass(frozen=True)
class Tile:
    """One of the figures at the top; `mood` is good, bad or plain."""

    name: str
    value: str
    note: str
    mood: str = "plain"


@dataclass(frozen=True)
class Facts:
    """A table of two columns."""

    title: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    subtitle: str
    tiles: tuple[Tile, ...]
    warnings: tuple[str, ...]
    architecture: Picture
    has_choices: bool
    layer_words: str
    layer_header: tuple[str, ...]
    layers: tuple[tuple[str, ...], ...]
    search: SearchPart
    training: tuple[Picture, ...]
    latency: Picture
    latency_words: str
    kernels: tuple[KernelLine, ...]
    kernel_words: str
    stages: Picture | None
    stage_rows: tuple[tuple[str, str, str], ...]
    facts: tuple[Facts, ...]


def page_of(report: Report) -> Page:
    """The page of a report."""
    bench = report.benchmark
    stages = tuple(bench.stages_s.items())
    summary = summary_of(report.network, report.mixed, report.table)
    total = sum(bench.stages_s.values()) or 1.0
    return Page(
        title=report.title,
        subtitle=_subtitle(report),
        tiles=tuple(_tiles(report)),
        warnings=(*_warnings(bench), *report.notes),
        architecture=architecture_picture(summary.layers, report.mixed),
        has_choices=bool(report.mixed),
        layer_words=_layer_words(report),
        layer_header=summary_header(summary),
        layers=tuple(summary_cells(summary)),
        search=search_part(report.search, report.mixed),
        training=training_pictures(report.training),
        latency=latency_picture(_latency_bars(bench), report.cap_ms),
        latency_words=_latency_words(bench),
        kernels=tuple(kernel_lines(bench.kernels)),
        kernel_words=kernel_words(bench),
        stages=stages_picture(stages) if stages else None,
        stage_rows=tuple((name, seconds(time_s), percent(time_s / total, 0)) for name, time_s in stages),
        facts=tuple(_facts(report)),
    )


def _subtitle(report: Report) -> str:
    parts = [report.source, report.data and f"on {report.data}", report.target and f"for {report.target}"]
    return " ".join(part for part in parts if part)


def _tiles(report: Report) -> list[Tile]:
    bench, size = report.benchmark, cost(report.network)
    tiles = []
    if bench.accuracy_test is not None:
        images = f"{bench.test_images:,} test images, through the bundle"
        tiles.append(Tile("Test accuracy", percent(bench.accuracy_test, 2), images))
    tails = f"p90 {milliseconds(bench.latency_p90_ms)}, p99 {milliseconds(bench.latency_p99_ms)}"
    tiles.append(Tile("Latency, median", milliseconds(bench.latency_p50_ms), tails))
    if bench.latency_predicted_ms is not None and bench.prediction_error is not None:
        mood = "good" if abs(bench.prediction_error) <= PREDICTION_LIMIT else "bad"
        bar = "" if bench.latency_error_ms is None else f" ± {milliseconds(bench.latency_error_ms)}"
        note = f"by the latency table{bar}, {apart(bench.prediction_error)}"
        tiles.append(Tile("Latency, predicted", milliseconds(bench.latency_predicted_ms), note, mood))
    for name, peer in bench.peers.items():
        mood, word = ("good", "faster than") if peer.speedup >= 1 else ("bad", "slower than")
        ratio = times(peer.speedup if peer.speedup >= 1 else 1 / peer.speedup)
        note = f"{word} its {milliseconds(peer.latency_p50_ms)}, in turns"
        tiles.append(Tile(f"vs {PEER_TITLES.get(name, name)}", ratio, note, mood))
    if bench.untuned_tvm_latency_p50_ms is not None:
        ratio = times(bench.untuned_tvm_latency_p50_ms / bench.latency_p50_ms, 2)
        note = f"faster than TVM untuned, {milliseconds(bench.untuned_tvm_latency_p50_ms)}"
        tiles.append(Tile("Gained by tuning", ratio, note))
    note = f"{count(size.params)} parameters, {size.peak_memory_bytes / 1024:,.0f} KiB of activations"
    tiles.append(Tile("MACs", count(size.macs), note))
    return tiles


def _warnings(bench: Benchmark) -> list[str]:
    found = []
    if bench.noise.get("noisy"):
        found.append(
            "The machine was noisy while it was timed: repeat the benchmark before quoting its times."
        )
    worst = max(bench.agreement.items(), key=lambda pair: pair[1], default=("", 0.0))
    if worst[1] > AGREEMENT_LIMIT:
        pair = worst[0].replace("_", " and ")
        found.append(f"{pair} differ by {scientific(worst[1])}, more than {scientific(AGREEMENT_LIMIT)}.")
    return found


def _layer_words(report: Report) -> str:
    words = "A layer is a decision, or a kernel that was not searched. MACs and parameters are exact"
    if report.table is None:
        return f"{words}; without a latency table there are no times."
    return (
        f"{words}; the time is that of the layer's kernels by the table of the bundle, their calls included."
    )


def _latency_bars(bench: Benchmark) -> list[Bar]:
    bars = []
    if bench.latency_predicted_before_ms is not None:
        bars.append(Bar("predicted by the search", bench.latency_predicted_before_ms, "predicted"))
    if bench.latency_predicted_ms is not None:
        bars.append(Bar("predicted, as tuned", bench.latency_predicted_ms, "predicted"))
    note = f"p99 {milliseconds(bench.latency_p99_ms)}"
    bars.append(Bar("bundle", bench.latency_p50_ms, "mine", bench.latency_p90_ms, note))
    for name, peer in bench.peers.items():
        title, note = (
            f"{PEER_TITLES.get(name, name)} {peer.version}",
            f"p99 {milliseconds(peer.latency_p99_ms)}",
        )
        bars.append(Bar(title, peer.latency_p50_ms, "peer", peer.latency_p90_ms, note))
    untuned = bench.untuned_tvm_latency_p50_ms
    if untuned is not None:
        far = untuned > FAR * bench.latency_p50_ms
        bars.append(Bar("TVM, untuned", untuned, "far" if far else "peer", note="bar cut" if far else ""))
    return bars


def _latency_words(bench: Benchmark) -> str:
    words = (
        f"Median of {counted(bench.runs, 'run')} at batch 1, fp32, {counted(bench.threads, 'thread')}; whiskers end at "
        "the 90th percentile. The contenders ran in turns, each in a process of its own on the same cores."
    )
    if bench.latency_predicted_ms is not None and bench.prediction_error is not None:
        words += (
            f" The latency table predicted {milliseconds(bench.latency_predicted_ms)} for these kernels, "
            f"{apart(bench.prediction_error)} what was measured."
        )
        if abs(bench.prediction_error) > PREDICTION_LIMIT:
            words += (
                " That is far off: the machine may have been slower or faster when its table was measured; "
                "`onepath profile --restart` measures it anew."
            )
    if bench.latency_predicted_before_ms is not None:
        before = milliseconds(bench.latency_predicted_before_ms)
        words += f" Before the winner's kernels were tuned further, it predicted {before}."
    return words


def _facts(report: Report) -> list[Facts]:
    bench = report.benchmark
    facts = [Facts("Network", tuple(_network_rows(report)))]
    if bench.agreement:
        images = f"Largest relative error on {bench.agreement_images} test images"
        rows = tuple(
            (pair.replace("_", " against "), scientific(error)) for pair, error in bench.agreement.items()
        )
        facts.append(Facts(images, rows))
    start = [("load", milliseconds(bench.load_ms)), ("first run", milliseconds(bench.first_run_ms)),
             ("peak memory", f"{bench.memory_mb:,.0f} MB")]  # fmt: skip
    for name, peer in bench.peers.items():
        title = PEER_TITLES.get(name, name)
        start.append((f"{title}: load", milliseconds(peer.load_ms)))
        start.append((f"{title}: first run", milliseconds(peer.first_run_ms)))
        start.append((f"{title}: peak memory", f"{peer.memory_mb:,.0f} MB"))
    facts.append(Facts("Start and memory", tuple(start)))
    facts.append(Facts("Machine", _rows(bench.machine)))
    facts.append(Facts("Noise while timing", _rows(bench.noise)))
    facts.append(Facts("Versions", _rows(bench.versions)))
    return [fact for fact in facts if fact.rows]


def _network_rows(report: Report) -> list[tuple[str, str]]:
    size = cost(report.network)
    rows = [
        ("parameters", f"{size.params:,}"), ("MACs", f"{size.macs:,}"),
        ("peak of activations", f"{size.peak_memory_bytes:,} B"),
    ]  # fmt: skip
    if report.space_size is not None:
        rows.insert(0, ("networks in the space", f"{report.space_size:,}"))
    return rows


def _rows(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(_named(name, _say(value)) for name, value in values.items())


def _named(key: str, value: str) -> tuple[str, str]:
    """A JSON key as words, the unit that it ends with moved to the value."""
    for suffix, unit in _UNITS.items():
        if key.endswith(suffix):
            return key.removesuffix(suffix).replace("_", " "), f"{value} {unit}"
    return key.replace("_", " "), value


def _say(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return figures(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_say(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_say(inner) for inner in value)
    return str(value)
