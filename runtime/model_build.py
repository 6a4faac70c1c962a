"""Build a bundle of a model that another program exported: read ONNX, tune, compile, compare with that model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from compiler.architecture import Architecture, to_json
from compiler.codegen.from_onnx import from_onnx, read_model
from compiler.codegen.onnx_reader import OnnxProblem
from compiler.codegen.schedules.layout import LAYOUTS
from compiler.codegen.to_onnx import model_bytes, to_onnx
from compiler.ir.graph import Network
from compiler.latency import LatencyTable, Prediction
from compiler.passes.chains import chain_kernels, counts
from compiler.passes.fold import Array, for_inference
from compiler.passes.fuse import Plan, fuse
from compiler.target import Target
from dsl.suggest import counted
from runtime.bench_text import DISTURBED
from runtime.benchmark import Latency
from runtime.budget import Budget
from runtime.build_folder import held_for_build, refuse_inside_bundle
from runtime.bundle import Bundle, Manifest, Tensor
from runtime.bundle_measured import write_measured
from runtime.bundle_trust import note_built
from runtime.checked_bundle import (
    Build,
    Reference,
    answers,
    bundle_target,
    compiled_with,
    output_kind,
    predicted,
    timed,
    torch_answers,
    write_checked,
)
from runtime.console import Progress, Silent, announced
from runtime.devices.tracker import RemoteDevice
from runtime.files import sha256_file, write_atomic
from runtime.interrupted import told
from runtime.latency_table import write_table
from runtime.peers import onnxruntime
from runtime.profiler import WINNER_TRIALS, profile
from runtime.provenance import git_revision
from runtime.records import Records
from runtime.targets import cannot_run, check_bundle

BUDGET_S = 60.0
"""How long a model's kernels are tuned and priced unless more is asked for."""
CHECK_INPUTS = 8
Made = TypeVar("Made")


@dataclass(frozen=True)
class Model:
    """A model from a file, as read and ready to be compiled: batch norm folded, in kernels."""

    path: Path
    network: Network
    weights: dict[str, Array]
    plan: Plan
    compiled_weights: dict[str, Array]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its input, batch included."""
        return 1, *self.network.graph.inputs[0].type.sizes


@dataclass(frozen=True)
class BuiltModel:
    """What a build made: the bundle, and the latency table of what was measured, None where nothing was."""

    bundle: Bundle
    plan: Plan
    table: LatencyTable | None

    @property
    def predicted(self) -> Prediction | None:
        """What the table predicts of the network."""
        return None if self.table is None else self.table.predict_plan(self.plan)


def read(path: Path, input_sizes: Sequence[int] | None = None) -> Model:
    """The model of an ONNX file; `input_sizes` are those of its input without the batch, where they are free.

    Raises:
        OnnxProblem: it cannot be read, or holds what a network cannot; the message names the node.
    """
    model = read_model(path)
    try:
        network, weights = from_onnx(model, input_sizes)
    except OnnxProblem as problem:
        raise OnnxProblem(f"{path}: {problem}") from None
    ready, folded = for_inference(network, weights)
    return Model(path, network, weights, fuse(ready), folded)


def build_model(
    path: Path,
    target: Target,
    folder: Path,
    *,
    trials: int | None = None,
    budget_s: float = BUDGET_S,
    input_sizes: Sequence[int] | None = None,
    records: Path | str | None = None,
    progress: Progress | None = None,
    device: RemoteDevice | None = None,
) -> BuiltModel:
    """Write the bundle of an ONNX file, `model.onnx` as it was read, and `tuning/<target>.json` into `folder`.

    `trials` bounds the schedules tried of each kernel; with 0 nothing is measured, every kernel has its default
    schedule, and there is no table. With `device`, remote devices are measured on instead of this machine. The
    answers are compared with ONNX Runtime's of the file itself, or with those of the network in PyTorch where ONNX
    Runtime is not installed.

    Raises:
        OnnxProblem: the model cannot be read; the message names the node.
        NothingMeasured, CannotPrice, WorkerFailed: kernels cannot be compiled or run.
        WrongAnswers: the compiled model disagrees; nothing is written.
        RecordsProblem, FileProblem: the database or the folder cannot be used, or another writes to the folder.
    """
    check_bundle(target)
    tuning = Tuning(trials, budget_s, records, device)
    write = partial(_write, runs_here=device is None and cannot_run(target) is None)
    bundle, model, table = built(path, target, folder, input_sizes, tuning, progress or Silent(), write)
    return BuiltModel(bundle, model.plan, table)


@dataclass(frozen=True)
class Tuning:
    """How a model's kernels are tuned: at most so many trials of each, so many seconds, with these records, where."""

    trials: int | None = None
    budget_s: float = BUDGET_S
    records: Path | str | None = None
    device: RemoteDevice | None = None


def built(
    path: Path,
    target: Target,
    folder: Path,
    input_sizes: Sequence[int] | None,
    tuning: Tuning,
    said: Progress,
    write: Callable[[Model, Target, LatencyTable | None, Path, Progress], Made],
) -> tuple[Made, Model, LatencyTable | None]:
    """What `write` makes in `folder` of a model that is read and tuned.

    Raises:
        What `build_model` does, and what `write` does.
    """
    refuse_inside_bundle(folder)
    with announced(said, "read"):
        model = read(path, input_sizes)
        said.note(f"{counted(len(model.plan.calls), 'kernel')}, {len(model.plan.kernels)} of them different")
    with held_for_build(folder):
        table = None
        if tuning.trials != 0:
            with announced(said, "tune"):
                table = tune_model(model, target, tuning, said)
        kept = "begins anew" if table is None else "goes on from what was measured, which is kept"
        with (
            told(lambda: f"nothing was built yet: the same command {kept}"),
            announced(said, "build"),
        ):
            return write(model, target, table, folder, said), model, table


def _write(
    model: Model,
    target: Target,
    table: LatencyTable | None,
    folder: Path,
    progress: Progress,
    *,
    runs_here: bool,
) -> Bundle:
    """Compile and check the bundle, and write it with what stands beside it; `runs_here` times it, too."""
    build, manifest, reference = to_write(model, target, table, progress)
    bundle = write_checked(folder / "bundle", build, manifest, reference)
    note_built(bundle, progress)
    if table is not None and runs_here:
        measured = timed(bundle)
        path = write_measured(bundle.folder, bundle.digest, target.threads, measured)
        bundle = replace(bundle, unlisted={**bundle.unlisted, path.name: path.read_bytes()})
        progress.note(_told(table.predict_plan(model.plan), measured))
    write_others(folder, model, target, table)
    progress.note(f"{bundle.size_bytes / 2**20:.1f} MiB in {bundle.folder}")
    return bundle


def _told(predicted: Prediction, measured: Latency) -> str:
    """The predicted latency beside the measured one, in words."""
    spread = "" if predicted.error_ms is None else f" ± {predicted.error_ms:.3g}"
    runs = f"the median of {counted(measured.runs, 'run')}"
    disturbed = f"; {DISTURBED}" if measured.noisy else ""
    return (
        f"predicted {predicted.latency_ms:.4g}{spread} ms, measured {measured.latency_p50_ms:.4g} ms ({runs})"
        f"{disturbed}"
    )


def to_write(
    model: Model, target: Target, table: LatencyTable | None, progress: Progress
) -> tuple[Build, Manifest, Reference]:
    """What a model is compiled from, what its manifest says, and what its answers are compared with.

    Raises:
        Unsupported: a kernel that no template writes.
        BenchProblem: ONNX Runtime cannot run the file.
    """
    build, reference = build_of(model, target, table), reference_of(model, target.threads)
    if np.isfinite(reference.outputs).all() and not _differs(reference.outputs):
        progress.note("its outputs are the same for different inputs: that they agree says little")
    return build, replace(_manifest(model, target, table), benchmark=predicted(table, build.plan)), reference


def tune_model(model: Model, target: Target, tuning: Tuning, progress: Progress) -> LatencyTable:
    """The latency table of the model's kernels, apart and joined, tuned within the budget.

    Raises:
        NothingMeasured, CannotPrice: the machine cannot compile or run kernels; the message says why.
        RecordsProblem: the database cannot be used.
    """
    with Records(tuning.records) as database:
        return profile(
            chain_kernels(model.plan, target),
            target,
            database,
            sample_plans=[model.plan],
            budget=Budget(tuning.budget_s),
            trials=tuning.trials or WINNER_TRIALS,
            weights=Counter(call.kernel.signature for call in model.plan.calls),
            progress=progress,
            device=tuning.device,
        )


def build_of(model: Model, target: Target, table: LatencyTable | None) -> Build:
    """What the bundle is compiled from: the table's schedules, or each kernel's default one.

    Raises:
        Unsupported: a kernel that no template writes.
    """
    if table is not None:
        return Build(table.joined(model.plan), model.compiled_weights, table.schedules, target)
    return Build.untuned(model.plan, model.compiled_weights, target)


def reference_of(model: Model, threads: int, count: int = CHECK_INPUTS) -> Reference:
    """Seeded random inputs, and what the file answers by ONNX Runtime, or the network by PyTorch.

    Raises:
        BenchProblem: ONNX Runtime cannot run the file.
    """
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((count, *model.shape[1:]), dtype=np.float32)
    if onnxruntime.available():
        setup = {"kind": "peer", "peer": onnxruntime.NAME, "model": str(model.path.absolute())}
        return Reference(onnxruntime.NAME, inputs, answers(setup, model.shape, threads, inputs))
    return Reference("torch", inputs, torch_answers(model.network, model.weights, inputs))


def _differs(outputs: Array) -> bool:
    """Whether different inputs gave different outputs."""
    spread, scale = float(np.ptp(outputs, axis=0).max()), float(np.abs(outputs).max())
    return spread > 1e-3 * scale


def _manifest(model: Model, target: Target, table: LatencyTable | None) -> Manifest:
    graph = model.network.graph
    output = graph.type.sizes
    return Manifest(
        model.network.name,
        bundle_target(target),
        Tensor(model.shape, LAYOUTS[len(model.shape) - 1]),
        Tensor((1, *output), LAYOUTS[len(output)]),
        (),
        {},
        output_kind(model.network),
        architecture=to_json(Architecture(model.network.name, model.network.choices)),
        provenance={
            "model": model.path.name,
            "model_sha256": sha256_file(model.path),
            **git_revision(model.path),
            "records": table.records if table else "",
        },
        versions=compiled_with("onnx"),
    )


def write_others(folder: Path, model: Model, target: Target, table: LatencyTable | None) -> None:
    """What stands beside what was built: the model as it was read, and the table, no earlier build's."""
    tuning = folder / "tuning" / f"{target.name}.json"
    write_atomic(folder / "model.onnx", model_bytes(to_onnx(model.network, model.weights)))
    if table is None:
        tuning.unlink(missing_ok=True)
    else:
        write_table(tuning, table)


def answer(built: BuiltModel) -> dict[str, Any]:
    """What a build came to, for people and programs."""
    manifest, measured = built.bundle.manifest, built.bundle.benchmark
    plan = built.plan if built.table is None else built.table.joined(built.plan)
    return {
        "bundle": str(built.bundle.folder),
        "bytes": built.bundle.size_bytes,
        "target": manifest.target.name,
        "threads": manifest.target.threads,
        **counts(plan),
        **manifest.checked,
        **latencies(built.predicted, measured),
    }


def latencies(predicted: Prediction | None, measured: Mapping[str, Any]) -> dict[str, Any]:
    """What a table predicts, with its error, and what `benchmark.json` says was measured; nothing where it is not."""
    expected = (
        {}
        if predicted is None
        else {"latency_predicted_ms": predicted.latency_ms, "latency_error_ms": predicted.error_ms}
    )
    found = {"latency_p50_ms": measured["latency_p50_ms"], "noisy": measured["noisy"]} if measured else {}
    return {**expected, **found}
