"""The stages of a run: what each depends on, what it does, which files it leaves in the run folder.

A stage is a function of the experiment and of earlier stages' files; it resumes by itself where it was
interrupted. `runtime/pipeline.py` runs them in order and skips what is current.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.architecture import Architecture, to_json, validate
from compiler.ir.graph import Network
from compiler.ir.text import print_network, print_space, read
from compiler.passes.fuse import Plan, fuse
from compiler.pricing import space_kernels
from runtime.architecture_file import read_architecture
from runtime.console import Progress
from runtime.experiment import Experiment, NoSuchPart, target_named
from runtime.files import sha256_file, write_atomic, write_json
from runtime.run_folder import RunFolder
from runtime.search_stage import (
    ARCHITECTURE,
    SEARCH_RESULT,
    follow_search,
    judge_of,
    plain,
    search_inputs,
    search_stage,
)

if TYPE_CHECKING:
    from compiler.latency import LatencyTable
    from compiler.predict import Table
    from compiler.target import Target
    from dsl.settings import TargetSettings
    from runtime.data.dataset import Dataset
    from runtime.devices.tracker import RemoteDevice
    from runtime.ranks import Ranks
    from runtime.search.evaluators.evaluator import Evaluator
    from runtime.search.options import SearchProgress
    from runtime.train import TrainOptions, TrainProgress, TrainResult

NETWORK = "network.graph"
SOURCE = "network.py"
WEIGHTS = "train/weights.safetensors"
TRAINED = "train/result.json"
TRAIN_SCHEMA = "onepath.train/1"
MODEL = "model.onnx"
BUNDLE = "bundle/manifest.json"
BENCH = "bench.json"
REPORT = "report.html"
WINNER_BUDGET_S = 60.0
"""How long the winner's kernels are tuned further where the target does not say."""


@dataclass
class Run:
    """One run: the experiment, where its files go, and what stages share while they work.

    `device` names the remote devices that the experiment's target is measured on instead of this machine.
    """

    experiment: Experiment
    folder: RunFolder
    progress: Progress
    records: Path | None = None
    given: Path | None = None
    resume: bool = True
    anew: bool = False
    device: RemoteDevice | None = None

    @cached_property
    def ranks(self) -> Ranks:
        """The processes that do this run together: all that `torchrun` started, else this one."""
        from runtime.ranks import joined

        return joined()

    @cached_property
    def target(self) -> Target:
        """The target of the experiment, this machine or another."""
        from runtime.targets import resolve

        return resolve(self.experiment.target)

    def device_of(self, target: TargetSettings) -> RemoteDevice | None:
        """The remote devices that a target is measured on; of the others this machine is."""
        return self.device if target.name == self.experiment.target.name else None

    @property
    def untuned(self) -> bool:
        """Whether nothing is to be measured: every kernel has its default schedule."""
        return self.experiment.target.trials == 0

    @cached_property
    def data(self) -> Dataset:
        """The data set of the search, else of the recipe."""
        from runtime.options import load_data

        dataset = load_data(self.experiment)
        for note in dataset.notes:
            self.progress.note(note)
        return dataset

    @cached_property
    def judge(self) -> Dataset | Evaluator:
        """What judges the networks of the search."""
        return judge_of(self)

    @property
    def data_identity(self) -> list[Any]:
        """The images, labels and splits, by their hash, and how an image becomes an input."""
        return [self.data.digest, self.data.preprocessing.describe()]

    @property
    def searched(self) -> bool:
        """Whether the architecture at hand is a search's: neither given nor the only one of its space."""
        record = self.folder.record("search")
        return record is not None and SEARCH_RESULT in record.outputs

    @property
    def table_file(self) -> str:
        """The latency table of the target."""
        return f"latency/{self.experiment.target.name}.json"

    @property
    def targets(self) -> tuple[TargetSettings, ...]:
        """The target of the experiment, and those of the search's caps on latency."""
        caps = self.experiment.search.caps if self.experiment.search else ()
        names = [cap.target for cap in caps if cap.metric == "latency" and cap.target]
        others = [name for name in dict.fromkeys(names) if name != self.experiment.target.name]
        return (self.experiment.target, *[target_named(self.experiment.settings, name) for name in others])

    def prices_file(self, target: TargetSettings | None = None) -> str:
        """The table that prices networks: the target's own from elsewhere, by its whole path, else the measured
        one of this folder. Without `target`, of the experiment's."""
        from runtime.latency_table import table_path

        target = target or self.experiment.target
        elsewhere = table_path(target, self.experiment.folder)
        return f"latency/{target.name}.json" if elsewhere is None else str(elsewhere.absolute())

    @property
    def tuning_file(self) -> str:
        """The schedules that the bundle is built with."""
        return f"tuning/{self.experiment.target.name}.json"

    def sha(self, name: str) -> str:
        """The SHA-256 of a file of the run folder, "" where it does not exist yet."""
        path = self.folder / name
        return sha256_file(path) if path.is_file() else ""

    def table(self, name: str) -> LatencyTable:
        """A latency table of the run folder."""
        from runtime.latency_table import read_table

        return read_table(self.folder / name)

    def prices(self, target: TargetSettings | None = None) -> Table:
        """The table that prices networks, of the experiment's target or another.

        Raises:
            TableProblem, FileProblem: it is none, or is damaged.
        """
        from runtime.latency_table import read_any_table

        target = target or self.experiment.target
        return read_any_table(self.folder / self.prices_file(target), target.name)

    def architecture(self) -> Architecture:
        """The architecture of the run folder, checked against the space."""
        return validate(self.experiment.space, read_architecture(self.folder / ARCHITECTURE))

    def network(self) -> Network:
        """The derived network of the run folder."""
        network = read((self.folder / NETWORK).read_text(encoding="utf-8"))
        assert isinstance(network, Network), "a network, not a space"
        return network

    def seconds(self) -> dict[str, float]:
        """The time of each stage before `bench`, in their order."""
        found = self.folder.seconds()
        return {stage.name: found[stage.name] for stage in STAGES[:-2] if stage.name in found}

    def compiled(self) -> tuple[Plan, dict[str, Any]]:
        """The kernels of the exported model, and its weights."""
        from compiler.codegen.from_onnx import from_onnx, read_model

        network, weights = from_onnx(read_model(self.folder / MODEL))
        return fuse(network), weights

    def searching(self, now: SearchProgress) -> None:
        """Pass on how far the search is."""
        state, entropy = f"loss {now.loss:.3f}, accuracy {now.accuracy:.1%}", f", entropy {now.entropy:.2f}"
        if now.phase == "evaluation":
            state, entropy = f"best {now.accuracy:.4g}", ""
        name = f"latency on {self.experiment.target.name}"
        latency = f", {now.costs[name]:.3f} ms" if name in now.costs else ""
        self.progress.update(now.step, now.steps, f"{state}{latency}{entropy}", kind=now.phase)

    def training(self, now: TrainProgress) -> None:
        """Pass on how far the training is."""
        self.progress.update(now.step, now.steps, f"loss {now.loss:.3f}, accuracy {now.accuracy:.1%}")


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline. `inputs` says what it depends on, `run` does it and names its files.

    Of several processes the first does this; the others do `follow` meanwhile, where there is something to share.
    """

    name: str
    title: str
    inputs: Callable[[Run], Any]
    run: Callable[[Run], tuple[str, ...]]
    follow: Callable[[Run], object] | None = None


# Profile


def profiled(run: Run) -> list[TargetSettings]:
    """The targets whose kernels are timed here: all but those that have a table from elsewhere."""
    return [each for each in run.targets if each.latency_table is None]


def targets_here(run: Run) -> list[tuple[TargetSettings, Target]]:
    """Those, resolved; where there are none, what is wrong with profiling the target is raised.

    Raises:
        UnsupportedTarget, UnknownProcessor: this machine cannot run one of them, and no device is to.
    """
    from runtime.targets import here, measurable

    return [
        (each, here(each) if run.device_of(each) is None else measurable(each))
        for each in profiled(run) or [run.experiment.target]
    ]


def _profile_inputs(run: Run) -> Any:
    from runtime.price_kernels import METHOD

    search = run.experiment.search
    budget, here = search.profile_budget if search else None, targets_here(run)
    kernels = [sorted(space_kernels(run.experiment.flat, target)) for _, target in here]
    keys = [[target.key, settings.trials] for settings, target in here]
    inputs = [kernels, keys, budget, version("apache-tvm"), METHOD]
    return inputs if run.device is None else [*inputs, run.device.key]


def _profile(run: Run) -> tuple[str, ...]:
    """A latency table of each target; the budget is for each of them."""
    from runtime.budget import Budget
    from runtime.latency_table import write_table
    from runtime.profiler import forget_prices, profile_space

    search = run.experiment.search
    seconds = search.profile_budget if search else None
    here = targets_here(run)
    for _, target in here if run.anew else ():
        forget_prices(
            run.experiment.flat, target, records=run.records, progress=run.progress, device=run.device
        )
    for settings, target in here:
        account = run.folder.account("profile", settings.name, resume=run.resume)
        table = profile_space(
            run.experiment.flat,
            target,
            records=run.records,
            budget=Budget(seconds, account),
            trials=settings.trials,
            progress=run.progress,
            device=run.device_of(settings),
        )
        write_table(run.folder / run.prices_file(settings), table)
    return tuple(run.prices_file(settings) for settings in profiled(run))


# Train


def train_options_of(run: Run) -> TrainOptions:
    """How the file wants the network trained.

    Raises:
        NoSuchPart: it does not say.
        OSError, InvalidArchitecture: the teacher that it names cannot be had.
    """
    from runtime.distill import teacher_architecture
    from runtime.options import train_options

    if run.experiment.train is None:
        name = run.experiment.space.name
        raise NoSuchPart(f"nothing says how to train `{name}`: write `train {name} {{ … }}`")
    teacher_architecture(run.experiment)
    return train_options(run.experiment.train)


# Derive


def _derive_inputs(run: Run) -> Any:
    return [run.sha(ARCHITECTURE), print_space(run.experiment.flat)]


def _derive(run: Run) -> tuple[str, ...]:
    """The network, as a graph and as PyTorch source."""
    from compiler.codegen.to_pytorch import to_pytorch
    from compiler.derive import derive
    from compiler.ir.verify import verify_network

    network = verify_network(derive(run.experiment.flat, run.architecture().choices))
    write_atomic(run.folder / NETWORK, print_network(network))
    write_atomic(run.folder / SOURCE, to_pytorch(network))
    return (NETWORK, SOURCE)


def _train_inputs(run: Run) -> Any:
    from runtime.distill import teacher_architecture

    recipe, teacher = run.experiment.train, teacher_architecture(run.experiment)
    initial = _initial(run) and run.sha(_initial(run))
    settings = [plain(recipe), teacher and to_json(teacher)]
    return [run.sha(NETWORK), settings, run.data_identity, initial, version("torch")]


def _initial(run: Run) -> str:
    """The supernet's weights, where the recipe starts from them and the search left some."""
    recipe, name = run.experiment.train, "search/supernet_path.safetensors"
    wanted = recipe is not None and recipe.initial == "supernet" and run.given is None
    return name if wanted and (run.folder / name).is_file() else ""


def _trained(run: Run) -> TrainResult:
    """The network, trained by all processes together."""
    from runtime.distill import trained_teacher
    from runtime.train import read_weights, train

    options, teacher = train_options_of(run), trained_teacher(run)
    initial = read_weights(run.folder / _initial(run)) if _initial(run) else None
    folder, network = run.folder / "train", run.network()
    return train(network, run.data, options, folder, initial, run.resume, run.training, teacher, run.ranks)


def _train(run: Run) -> tuple[str, ...]:
    result = _trained(run)
    write_json(run.folder / TRAINED, result.describe(), TRAIN_SCHEMA)
    run.progress.note(f"test accuracy {result.test.accuracy:.2%}")
    return (WEIGHTS, TRAINED, "train/train.jsonl")


# Export


def _export_inputs(run: Run) -> Any:
    return [run.sha(NETWORK), run.sha(WEIGHTS)]


def _export(run: Run) -> tuple[str, ...]:
    from compiler.codegen.to_onnx import model_bytes, to_onnx
    from runtime.train import read_weights

    tensors = read_weights(run.folder / WEIGHTS)
    parameters = {name: tensor.numpy() for name, tensor in tensors.items()}
    write_atomic(run.folder / MODEL, model_bytes(to_onnx(run.network(), parameters)))
    return (MODEL,)


# Tune


def _tune_inputs(run: Run) -> Any:
    target = run.experiment.target
    return [run.sha(MODEL), run.target.key, run.sha(run.table_file), target.tune_budget, target.trials]


def winner_budget_s(run: Run) -> float:
    """How long the winner's kernels may be tuned further."""
    given = run.experiment.target.tune_budget
    return WINNER_BUDGET_S if given is None else given


def _tune(run: Run) -> tuple[str, ...]:
    from runtime.budget import Budget
    from runtime.latency_table import write_table
    from runtime.profiler import tune_network

    plan, _ = run.compiled()
    table = tune_network(
        plan,
        run.table(run.table_file),
        run.target,
        records=run.records,
        budget=Budget(winner_budget_s(run), run.folder.account("tune", resume=run.resume)),
        trials=run.experiment.target.trials,
        progress=run.progress,
        device=run.device,
    )
    write_table(run.folder / run.tuning_file, table)
    return (run.tuning_file,)


# Build


def _build_inputs(run: Run) -> Any:
    tuned = "" if run.untuned else run.sha(run.tuning_file)
    made = [run.sha(MODEL), tuned, run.sha(ARCHITECTURE)]
    return [made, run.target.to_json(), run.data_identity, version("apache-tvm")]


def _build(run: Run) -> tuple[str, ...]:
    from runtime.assemble import assemble
    from runtime.bundle_trust import note_built

    table = None if run.untuned else run.table(run.tuning_file)
    bundle = assemble(run, *run.compiled(), table)
    note_built(bundle, run.progress)
    run.progress.note(f"{bundle.size_bytes / 2**20:.1f} MiB in {bundle.folder}")
    return (BUNDLE, *[f"bundle/{name}" for name in bundle.manifest.files])


# Bench


def _bench_inputs(run: Run) -> Any:
    made = [run.sha(name) for name in (BUNDLE, MODEL, WEIGHTS, run.table_file, run.tuning_file)]
    return [made, run.data_identity]


def _bench(run: Run) -> tuple[str, ...]:
    from runtime.assemble import benchmark
    from runtime.benchmark import with_stages, write_benchmark
    from runtime.bundle_measured import write_measured
    from runtime.bundle_trust import trusted

    began, bundle = time.monotonic(), trusted(run.folder / "bundle")
    measured = benchmark(run)
    write_measured(bundle.folder, bundle.digest, measured.threads, measured)
    seconds = {**run.seconds(), "bench": round(time.monotonic() - began, 3)}
    write_benchmark(run.folder / BENCH, with_stages(measured, seconds))
    return (BENCH,)


def _report_inputs(run: Run) -> Any:
    return [run.sha(BENCH), run.sha(SEARCH_RESULT)]


def _report(run: Run) -> tuple[str, ...]:
    from runtime.assemble import report_of
    from runtime.report.page import write_report

    write_report(run.folder / REPORT, report_of(run))
    return (REPORT,)


STAGES: tuple[Stage, ...] = (
    Stage("profile", "time the kernels of all candidates on the target", _profile_inputs, _profile),
    Stage("search", "find the architecture", search_inputs, search_stage, follow_search),
    Stage("derive", "make the network, as a graph and as PyTorch source", _derive_inputs, _derive),
    Stage("train", "train the network", _train_inputs, _train, _trained),
    Stage("export", "write it as ONNX", _export_inputs, _export),
    Stage("tune", "tune its kernels further", _tune_inputs, _tune),
    Stage("build", "compile it into a bundle", _build_inputs, _build),
    Stage("bench", "measure the bundle beside its peers", _bench_inputs, _bench),
    Stage("report", "write the report", _report_inputs, _report),
)
"""Every stage, in the order of the pipeline."""
