"""Build the standalone form: of an ONNX file, or of the network that a `.space` file leads to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compiler.latency import LatencyTable
from compiler.target import Target
from runtime.assemble import to_write as run_to_write
from runtime.console import Progress, announced
from runtime.files import folder_lock
from runtime.model_build import Model, Tuning, built, latencies, to_write, write_others
from runtime.pipeline import run_until
from runtime.stages import Run
from runtime.standalone import refuse_without_form, write_standalone
from runtime.standalone_folder import FOLDER, Standalone, refuse_other

Built = tuple[Standalone, Model, LatencyTable | None]


def build_standalone_model(
    path: Path,
    target: Target,
    folder: Path,
    name: str,
    input_sizes: Sequence[int] | None,
    tuning: Tuning,
    progress: Progress,
) -> Built:
    """Write `standalone` of an ONNX file into `folder`, and beside it what stands beside a bundle.

    Raises:
        What `model_build.build_model` and `write_standalone` do.
    """
    refuse_without_form(target)
    refuse_other(folder / FOLDER)

    def write(
        model: Model, target: Target, table: LatencyTable | None, folder: Path, said: Progress
    ) -> Standalone:
        made = write_standalone(folder / FOLDER, *to_write(model, target, table, said), name)
        write_others(folder, model, target, table)
        said.note(made.summary)
        return made

    return built(path, target, folder, input_sizes, tuning, progress, write)


def answer_model(made: Standalone, model: Model, table: LatencyTable | None) -> dict[str, Any]:
    """What a model's build came to, for people and programs."""
    predicted = None if table is None else table.predict_plan(model.plan)
    return {**made.describe(), "kernels": len(model.plan.kernels), **latencies(predicted, {})}


def build_standalone_run(run: Run, name: str) -> Standalone | None:
    """Bring the run up to the tuning of its kernels and write `standalone` into its folder.

    Of several processes the first does; the others answer None.

    Raises:
        What `run_until` and `write_standalone` do.
    """
    refuse_without_form(run.target)
    refuse_other(run.folder / FOLDER)
    run_until(run, "export" if run.untuned else "tune")
    if not run.ranks.first:
        return None
    with folder_lock(run.folder.path), announced(run.progress, "standalone"):
        table = None if run.untuned else run.table(run.tuning_file)
        made = write_standalone(run.folder / FOLDER, *run_to_write(run, *run.compiled(), table), name)
        run.progress.note(made.summary)
    return made
