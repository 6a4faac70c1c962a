"""A report with something in every part of it: a real space, made-up measurements."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

from compiler.derive import derive
from compiler.ir.graph import SpaceGraph
from compiler.latency import Entry, LatencyTable, MeasuredNoise, Model
from compiler.passes.flatten import mixed_nodes
from compiler.pricing import inference_plan
from compiler.target import Target
from dsl.source import Source
from runtime.benchmark import Benchmark, PeerResult, kernel_row
from runtime.experiment import load_experiment
from runtime.report.values import History, Judged, MixedChoice, Point, Pruned, Report, Snapshot

EXAMPLES = Path(__file__).parents[3] / "examples"
LATENCY = "latency on host"
SAMPLE = "sample"
"""A space of this folder, so that the golden page does not follow the examples."""


def space(name: str) -> SpaceGraph:
    path = (Path(__file__).parent if name == SAMPLE else EXAMPLES) / f"{name}.space"
    return load_experiment(Source(path.name, path.read_text())).flat


def mixed_of(flat: SpaceGraph) -> tuple[MixedChoice, ...]:
    choices = []
    for place, node in enumerate(mixed_nodes(flat)):
        count = len(node.candidates)
        chosen = (place * 5 + 2) % count if place % 4 != 3 else count - 1
        scores = [math.exp(2.5 * (index == chosen) + math.sin(place + 2 * index)) for index in range(count)]
        probabilities = tuple(round(score / sum(scores), 4) for score in scores)
        labels = tuple(str(candidate.key) for candidate in node.candidates)
        choices.append(MixedChoice(node.name, labels, probabilities, chosen))
    return tuple(choices)


def sample(name: str = SAMPLE) -> Report:
    flat = space(name)
    mixed = mixed_of(flat)
    nodes = mixed_nodes(flat)
    choices = {
        path: value
        for node, choice in zip(nodes, mixed, strict=True)
        for path, value in node.candidates[choice.chosen].choices
    }
    network = derive(flat, choices)
    measured = benchmark(network)
    return Report(
        title=name,
        network=network,
        benchmark=measured,
        table=table(measured),
        source=f"{name}.space",
        data="Fashion-MNIST",
        target="host (znver5, 1 thread)",
        space_size=1_234_567_890,
        cap_ms=0.3,
        mixed=mixed,
        search=_history(mixed),
        training=History(tuple(Point(235 * n, 2 / (1 + n), 1 - 0.5 / (1 + n)) for n in range(1, 9))),
        notes=("Fashion-MNIST was not found; <digits> & co. stand in for it.",),
    )


def _history(mixed: tuple[MixedChoice, ...]) -> History:
    """A search that undecided candidates leave one by one, and networks that are judged behind it."""
    evaluations = [_judged(number) for number in range(60)]
    caps = {LATENCY: 0.3, "macs": 5.5e6}
    best = 0.0
    for place, each in enumerate(evaluations):
        best = max(best, each.score if _under(each, caps) else 0.0)
        evaluations[place] = dataclasses.replace(each, best=best)
    front = [each for each in evaluations if not any(_better(other, each) for other in evaluations)]
    return History(
        points=tuple(_point(step) for step in range(0, 401, 10)),
        snapshots=tuple(_snapshot(mixed, step) for step in range(0, 401, 20)),
        pruned=tuple(_pruned(mixed)),
        evaluations=tuple(evaluations),
        front=tuple(front),
        found=max((each for each in front if _under(each, caps)), key=lambda each: each.score),
        caps=caps,
    )


def _judged(number: int) -> Judged:
    cost = 0.18 + 0.2 * (0.5 + 0.5 * math.sin(2.4 * number)) + 0.001 * (number % 7)
    score = 0.9 - 0.06 * (0.42 - cost) / 0.24 - 0.05 * (0.5 + 0.5 * math.cos(1.7 * number))
    return Judged(score, {LATENCY: cost, "macs": 1.9e7 * cost + 1e5 * (number % 5)})


def _under(judged: Judged, caps: dict[str, float]) -> bool:
    return all(judged.costs[name] <= cap for name, cap in caps.items())


def _better(one: Judged, other: Judged) -> bool:
    pairs = [(one.costs[name], other.costs[name]) for name in other.costs]
    return one != other and one.score >= other.score and all(mine <= its for mine, its in pairs)


def _snapshot(mixed: tuple[MixedChoice, ...], step: int) -> Snapshot:
    """From uniform to what the search ended with."""
    share = step / 400
    return Snapshot(
        step,
        {
            choice.name: {
                label: share * last + (1 - share) / len(choice.labels)
                for label, last in zip(choice.labels, choice.probabilities, strict=True)
            }
            for choice in mixed
        },
    )


def _pruned(mixed: tuple[MixedChoice, ...]) -> Iterator[Pruned]:
    total = sum(len(choice.labels) for choice in mixed)
    for place, choice in enumerate(mixed):
        if len(choice.labels) > 2:
            total -= 1
            label = choice.labels[choice.chosen - 1]
            yield Pruned(100 + 30 * place, choice.name, label, 0.0041, 0.01, len(choice.labels) - 1, total)


def _point(step: int) -> Point:
    wave = 0.05 * math.sin(step / 13)
    fade = math.exp(-step / 120)
    return Point(
        step,
        0.5 + 1.8 * fade + wave,
        0.88 - 0.7 * fade + wave / 3,
        0.2 + 0.8 * fade,
        {LATENCY: 0.27 + 0.12 * fade, "macs": 5e6 + 2e6 * fade},
        {LATENCY: 0.4 * fade, "macs": 0.0},
    )


def table(measured: Benchmark) -> LatencyTable:
    """The latency table that knows the sample's kernels as they were measured."""
    entries = {row.signature: Entry(row.time_ms, 1.1, True, "") for row in measured.kernels}
    noise = MeasuredNoise(0.4, 0.0, 1.04, False)
    target = Target("host", "znver5", "x86_64-unknown-linux-gnu").to_json()
    return LatencyTable(target, "a processor", "0.27", entries, Model(0.004, 0.0004, 0.1, ()), "", noise)


def benchmark(network: object) -> Benchmark:
    calls: dict[str, int] = {}
    for call in inference_plan(network).calls:  # type: ignore[arg-type]
        calls[call.kernel.signature] = calls.get(call.kernel.signature, 0) + 1
    rows = []
    for place, (signature, number) in enumerate(calls.items()):
        row = kernel_row(signature, number, 1.0, 115.0)
        time_ms = max(row.gflops / (90 - 4 * (place % 12)), row.gigabytes_per_s / 40, 0.0004)
        rows.append(
            kernel_row(signature, number, time_ms, 115.0, time_ms * (8 + place % 7), ("sample.space:7:5",))
        )
    total = sum(row.total_ms for row in rows) * 1.04
    peer = PeerResult(
        total * 1.31,
        total * 1.4,
        total * 1.72,
        1.31,
        41.0,
        0.9,
        92.0,
        "1.31.1",
        {"threads": 1, "precision": "fp32"},
    )
    return Benchmark(
        network="sample",
        threads=1,
        latency_p50_ms=total,
        latency_p90_ms=total * 1.05,
        latency_p99_ms=total * 1.35,
        latency_min_ms=total * 0.98,
        runs=14_200,
        load_ms=12.4,
        first_run_ms=0.61,
        memory_mb=41.0,
        accuracy_test=0.9087,
        test_images=10_000,
        latency_predicted_ms=total * 0.96,
        latency_predicted_before_ms=total * 1.08,
        latency_error_ms=total * 0.05,
        prediction_error=-0.04,
        untuned_tvm_latency_p50_ms=total * 14.2,
        kernels=tuple(rows),
        peers={"onnxruntime": peer},
        agreement={"onnxruntime_torch": 2.4e-7, "bundle_torch": 3.1e-7, "bundle_onnxruntime": 2.9e-7},
        agreement_images=100,
        stages_s={
            "profile": 214.0,
            "search": 90.2,
            "train": 118.9,
            "tune": 58.0,
            "build": 9.4,
            "bench": 24.1,
        },
        versions={
            "onepath": "0.1.0",
            "apache-tvm": "0.27.0.post1",
            "onnxruntime": "1.31.1",
            "torch": "2.13.0",
        },
        machine={
            "processor": "AMD EPYC",
            "cores": 2,
            "peak_gflops": 115.2,
            "memory_gb_s": 21.4,
            "os": "Linux 6.1",
        },
        noise={"load": 0.42, "steal": 0.0, "spread": 1.04, "noisy": False},
    )
