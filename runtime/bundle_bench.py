"""A bundle on disk as the subject of a benchmark: its network as ONNX and its latency table stand beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compiler.latency import LatencyTable
from compiler.target import Target
from runtime import device
from runtime.bench import place
from runtime.bench_model import WAY_OUT, check_model
from runtime.bundle import read_manifest, verify
from runtime.files import FileProblem
from runtime.kernel_bench.measure import Kernels, Placement, kernels_of
from runtime.latency_table import read_table

MANIFEST, MODEL = "manifest.json", "model.onnx"


def bundle_folder(path: Path) -> Path | None:
    """The bundle in a folder, or in its `bundle/`; None where there is none."""
    for folder in (path, path / "bundle"):
        if (folder / MANIFEST).is_file():
            return folder
    return None


def model_of(folder: Path, given: Path | None) -> Path:
    """The ONNX file of a bundle's network: the one given, else `model.onnx` beside the bundle.

    Raises:
        FileProblem: there is none, it is of another network, or the bundle is damaged.
        OnnxProblem, BenchProblem: it cannot be read, or the bundle cannot be run.
    """
    path = given or folder.absolute().parent / MODEL
    if not path.is_file():
        raise FileProblem(path, "is no file" if path.exists() else "does not exist", WAY_OUT)
    check_model(verify(folder), path)
    return path


def table_of(folder: Path, given: Path | None) -> LatencyTable | None:
    """The latency table that a bundle was built from; None of a bundle that was built without one.

    Raises:
        FileProblem: it is missing, damaged, or of another build.
    """
    manifest = read_manifest(folder)
    wanted = manifest.provenance.get("records")
    path = given or folder.absolute().parent / "tuning" / f"{manifest.target.name}.json"
    if not wanted and given is None:
        return None
    if not path.is_file():
        raise FileProblem(
            path, "does not exist", "name the table that the bundle was built from with --table"
        )
    table = read_table(path)
    if table.records != wanted:
        raise FileProblem(path, "is not the table that the bundle was built from", "name that with --table")
    return table


def kernels_of_bundle(
    folder: Path,
    model: Path | None,
    table: Path | None,
    threads: int | None,
    cores: Sequence[int] | None,
) -> tuple[Kernels, Placement]:
    """The kernels of a bundle and where they are timed.

    Raises:
        FileProblem: the bundle is damaged, or its model or table is missing.
        BenchProblem: it cannot use so many threads, or the cores are not there.
        OnnxProblem, TableProblem: the model or the table is not the bundle's.
    """
    manifest = verify(folder).manifest
    count, chosen = place(manifest.target.threads, threads, cores)
    found, path = table_of(folder, table), model_of(folder, model)
    if found is None:
        target = device.host(manifest.target.threads, manifest.target.name)
    else:
        target = Target.from_json(found.target)
    plan, schedules = kernels_of(path, found, target)
    return Kernels(manifest.network, plan, schedules, target, path), Placement(count, tuple(chosen))
