"""Put a run's files together: its bundle, its benchmark, its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from compiler.architecture import to_json
from compiler.counting import Counter
from compiler.ir.graph import Network
from compiler.latency import LatencyTable
from compiler.passes.flatten import mixed_nodes
from compiler.passes.fuse import Plan
from runtime import device
from runtime.bench import Subject, measure
from runtime.benchmark import Benchmark, KernelRow, kernel_row, read_benchmark
from runtime.bundle import Bundle, Manifest, Tensor
from runtime.checked_bundle import (
    Build,
    Reference,
    bundle_target,
    compiled_with,
    output_kind,
    predicted,
    torch_answers,
    write_checked,
)
from runtime.data.dataset import Split
from runtime.devices.pool import workers_of
from runtime.events import read_events
from runtime.files import read_json
from runtime.measure import compile_untuned, probe_noise, roofline, time_calls, time_untuned
from runtime.provenance import git_revision
from runtime.report.history import history_of
from runtime.report.summary import Summary, summary_of
from runtime.report.values import History, MixedChoice, Report
from runtime.search_stage import SCHEMA as SEARCH_SCHEMA
from runtime.search_stage import SEARCH_RESULT
from runtime.stages import BENCH, MODEL, WEIGHTS, Run
from runtime.train import read_weights
from runtime.workers import Workers

Array = np.ndarray[Any, Any]
Weights = Mapping[str, Array]
CHECK_IMAGES = 16


def _inputs(run: Run, split: Split, count: int | None = None) -> tuple[Array, Array]:
    """Preprocessed images `[N, C, H, W]` and labels of a split, the first `count`."""
    places = torch.arange(len(split) if count is None else min(count, len(split)))
    pixels, labels = split.take(places)
    images = run.data.preprocessing.apply(pixels).contiguous()
    return images.numpy(), labels.numpy()


def _reference(run: Run, images: Array) -> Array:
    """The trained network's scores, by PyTorch in evaluation mode."""
    return torch_answers(run.network(), read_weights(run.folder / WEIGHTS), images)


# Bundle


def assemble(run: Run, plan: Plan, weights: Weights, table: LatencyTable | None) -> Bundle:
    """Compile the kernels with the table's schedules, check them against PyTorch and write the bundle.

    Without a table every kernel has its default schedule.

    Raises:
        WorkerFailed: it cannot be compiled.
        WrongAnswers: it disagrees with the trained network; nothing is written.
    """
    return write_checked(run.folder / "bundle", *to_write(run, plan, weights, table))


def to_write(
    run: Run, plan: Plan, weights: Weights, table: LatencyTable | None
) -> tuple[Build, Manifest, Reference]:
    """What the network is compiled from, what its manifest says, and what its answers are compared with."""
    images, _ = _inputs(run, run.data.validation, CHECK_IMAGES)
    if table is None:
        build = Build.untuned(plan, weights, run.target)
    else:
        build = Build(table.joined(plan), weights, table.schedules, run.target)
    reference = Reference("torch", images, _reference(run, images))
    return build, replace(_manifest(run, table), benchmark=predicted(table, build.plan)), reference


def _manifest(run: Run, table: LatencyTable | None) -> Manifest:
    network = run.network()
    described = run.data.preprocessing.describe()
    labels = tuple(described.pop("labels"))
    return Manifest(
        network.name,
        bundle_target(run.target),
        Tensor((1, *network.graph.inputs[0].type.sizes), "NCHW"),
        Tensor((1, *network.graph.type.sizes), "NC"),
        labels,
        described,
        output_kind(network),
        architecture=to_json(run.architecture()),
        provenance={
            "source_sha256": run.sha("source.space"),
            **git_revision(Path(run.experiment.source.name)),
            "overrides": list(run.experiment.overrides),
            "model_sha256": run.sha(MODEL),
            "records": table.records if table else "",
            "data": run.data.name,
            "data_sha256": run.data.digest,
            "seeds": _seeds(run),
        },
        versions=compiled_with("torch"),
    )


def _seeds(run: Run) -> dict[str, int]:
    """The seeds of what the file asks for, a search and a training."""
    parts = {"search": run.experiment.search, "train": run.experiment.train}
    return {name: part.seed for name, part in parts.items() if part is not None}


# Benchmark


def benchmark(run: Run) -> Benchmark:
    """Measure the run's bundle: end to end, kernel by kernel, beside its peers and TVM's untuned code."""
    apart, weights = run.compiled()
    images, labels = _inputs(run, run.data.test)
    tuned, first = run.table(run.tuning_file), run.table(run.table_file)
    plan = tuned.joined(apart)
    with TemporaryDirectory(prefix="onepath-") as scratch:
        untuned = Path(scratch) / "untuned.so"
        with workers_of(run.target, run.device, run.progress, 1) as workers:
            noise = asdict(probe_noise(run.target, workers.first))
            limits = roofline(run.target, workers.first)
            run.progress.note(f"peak {limits.peak_gflops:.0f} GFLOP/s, memory {limits.memory_gb_s:.1f} GB/s")
            compile_untuned(plan, weights, run.target, untuned, workers.first)
            rows = _kernel_rows(run, plan, weights, tuned, limits.peak_gflops, workers)
        subject = Subject(
            bundle=run.folder / "bundle",
            onnx=run.folder / MODEL,
            untuned=untuned,
            images=images,
            labels=labels,
            reference=lambda few: _reference(run, few),
            kernels=rows,
            predicted=tuned.predict_plan(apart),
            latency_predicted_before_ms=first.predict_plan(apart).latency_ms,
            machine={**device.description(), **asdict(limits)},
            noise=noise,
        )
        return measure(subject, progress=run.progress, device=run.device)


def _kernel_rows(
    run: Run, plan: Plan, weights: Weights, table: LatencyTable, peak: float, workers: Workers
) -> tuple[KernelRow, ...]:
    """One row a distinct kernel: the median of its calls in the running network, slowest first."""
    times = time_calls(plan, weights, table.schedules, run.target, worker=workers.first)
    untuned = time_untuned(plan, weights, run.target, worker=workers.first)
    places: dict[str, list[int]] = {}
    for index, call in enumerate(plan.calls):
        places.setdefault(call.kernel.signature, []).append(index)
    rows = [
        kernel_row(
            signature,
            len(where),
            float(np.median([times[index] for index in where])),
            peak,
            float(np.median([untuned[index] for index in where])),
            [plan.calls[index].nodes[0] for index in where],
        )
        for signature, where in places.items()
    ]
    return tuple(sorted(rows, key=lambda row: -row.total_ms))


# Report


def report_of(run: Run) -> Report:
    """Everything that the report shows."""
    experiment, network = run.experiment, run.network()
    searched = _history(run.folder / "search/search.jsonl") if run.searched else History()
    return Report(
        title=f"{experiment.space.name} on {experiment.target.name}",
        network=network,
        benchmark=read_benchmark(run.folder / BENCH),
        table=run.table(run.tuning_file),
        source=Path(experiment.source.name).name,
        data=run.data.name,
        space_size=Counter(experiment.space).size(),
        cap_ms=searched.caps.get(f"latency on {experiment.target.name}"),
        target=experiment.target.name,
        mixed=_mixed(run, network),
        search=searched,
        training=_history(run.folder / "train/train.jsonl"),
        notes=run.data.notes,
    )


def summary(run: Run) -> Summary:
    """The network found, layer by layer, with the latencies of the table that its bundle was built with."""
    network = run.network()
    return summary_of(network, _mixed(run, network), run.table(run.tuning_file))


def _result(run: Run) -> dict[str, Any]:
    """What the search found, where the architecture is a search's."""
    return read_json(run.folder / SEARCH_RESULT, SEARCH_SCHEMA) if run.searched else {}


def _mixed(run: Run, network: Network) -> tuple[MixedChoice, ...]:
    probabilities = _result(run).get("probabilities", {})
    choices = []
    for node in mixed_nodes(run.experiment.flat):
        labels = tuple(str(candidate.key) for candidate in node.candidates)
        chosen = next(
            index
            for index, candidate in enumerate(node.candidates)
            if all(network.choices.get(path) == choice for path, choice in candidate.choices)
        )
        row = probabilities.get(node.name, {label: float(i == chosen) for i, label in enumerate(labels)})
        choices.append(MixedChoice(node.name, labels, tuple(row[label] for label in labels), chosen))
    return tuple(choices)


def _history(path: Path) -> History:
    """The course that a search's or training's log tells."""
    return history_of(read_events(path)) if path.is_file() else History()
