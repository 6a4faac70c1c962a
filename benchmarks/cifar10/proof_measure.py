"""All bundles timed in turns, each a process of its own on one core, and their answers on the whole test split."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runtime.bench_turns import Timing


def measured(folders: Mapping[str, Path], data: Path, timing: Timing) -> dict[str, Any]:
    """Latency, accuracy and predicted latency of the bundle in each run folder; `data` is CIFAR-10's folder.

    Raises:
        BenchProblem: a bundle cannot be run, or stops.
    """
    from runtime.bench import place
    from runtime.bench_contender import BenchProblem, Contender
    from runtime.bench_turns import take_turns
    from runtime.bundle import verify
    from runtime.data.load import DataSource, load
    from runtime.device import description, load_average, steal_share

    dataset = load(DataSource("cifar10", data))
    threads, cores = place(1, None, None)
    with ExitStack() as stack, tempfile.TemporaryDirectory() as scratch:
        contenders = []
        for name, folder in folders.items():
            manifest = verify(folder / "bundle").manifest
            setup = {"kind": "bundle", "folder": str((folder / "bundle").absolute())}
            where = {"threads": threads, "cores": cores, "shape": manifest.input.shape}
            contenders.append(stack.enter_context(Contender(name, {**setup, **where})))
        accuracies = _accuracies(contenders, dataset, Path(scratch))
        before = {"load_average": load_average(), "stolen": steal_share()}
        turns = take_turns(contenders, timing)
    if turns.failed:
        raise BenchProblem("; ".join(turns.failed.values()))
    return {
        "networks": {
            name: _row(turns.all_of(name), accuracies[name], folder) for name, folder in folders.items()
        },
        "timing": asdict(timing),
        "threads": threads,
        "cores": cores,
        "machine": {**description(), **before},
    }


def _accuracies(contenders: list[Any], dataset: Any, scratch: Path) -> dict[str, float]:
    """The share of the test images that each bundle answers rightly."""
    import numpy as np
    import torch

    pixels, labels = dataset.test.take(torch.arange(len(dataset.test)))
    images = scratch / "images.npy"
    np.save(images, dataset.preprocessing.apply(pixels).contiguous().numpy())
    return {
        each.name: float((each.predict(images, scratch).argmax(1) == labels.numpy()).mean())
        for each in contenders
    }


def _row(times_ms: list[float], accuracy: float, folder: Path) -> dict[str, Any]:
    from compiler.codegen.from_onnx import from_onnx, read_model
    from compiler.passes.fuse import fuse
    from runtime.benchmark import latency
    from runtime.latency_table import read_table

    network, _ = from_onnx(read_model(folder / "model.onnx"))
    plan, of_run, of_bundle = fuse(network), folder / "latency/host.json", folder / "tuning/host.json"
    return {
        **asdict(latency(times_ms)),
        "accuracy_test": round(accuracy, 6),
        "latency_predicted_ms": read_table(of_bundle).predict_plan(plan).latency_ms,
        "latency_predicted_by_search_ms": read_table(of_run).predict_plan(plan).latency_ms,
    }
