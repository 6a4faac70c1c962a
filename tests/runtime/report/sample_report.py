"""A report with something in every part of it: a real space, made-up measurements."""

from __future__ import annotations

import math
from pathlib import Path

from compiler.derive import derive
from compiler.ir.graph import SpaceGraph
from compiler.passes.flatten import mixed_nodes
from compiler.pricing import inference_plan
from dsl.source import Source
from runtime.benchmark import Benchmark, PeerResult, kernel_row
from runtime.experiment import load_experiment
from runtime.report.values import History, MixedChoice, Point, Report

EXAMPLES = Path(__file__).parents[3] / "examples"
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
    return Report(
        title=name,
        network=network,
        benchmark=benchmark(network),
        source=f"{name}.space",
        data="Fashion-MNIST",
        target="host (znver5, 1 thread)",
        space_size=1_234_567_890,
        cap_ms=0.3,
        mixed=mixed,
        search=History(tuple(_point(step) for step in range(0, 401, 10))),
        training=History(tuple(Point(235 * n, 2 / (1 + n), 1 - 0.5 / (1 + n)) for n in range(1, 9))),
        notes=("Fashion-MNIST was not found; <digits> & co. stand in for it.",),
    )


def _point(step: int) -> Point:
    wave = 0.05 * math.sin(step / 13)
    fade = math.exp(-step / 120)
    return Point(
        step, 0.5 + 1.8 * fade + wave, 0.88 - 0.7 * fade + wave / 3, 0.27 + 0.12 * fade, 0.2 + 0.8 * fade
    )


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
