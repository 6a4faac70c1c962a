"""Train a network from scratch, or from weights it had in a supernet; the test split is used once, at the end."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from compiler.ir.graph import Network
from compiler.nets.modules import synchronise
from compiler.nets.network import GraphModule, build_network
from compiler.nets.streams import seed_of
from dsl.settings import Optimizer, Sgd
from runtime.checkpoint import State, laid_out, under
from runtime.data.batches import Augmentation, Batches
from runtime.data.dataset import Dataset
from runtime.evaluate.accuracy import Score, recalibrate, score
from runtime.events import EventLog
from runtime.files import FileProblem, canonical_json, read_tensors, write_tensors
from runtime.loop import Place, run_stage, seconds_a_step
from runtime.loss import Teacher, loss_of, right_answers, weighed
from runtime.optimiser import Average, Optimiser, Schedule
from runtime.ranks import ALONE, Ranks

WEIGHTS_SCHEMA = "onepath.weights/1"
CALIBRATION_SHARE = 0.03
"""The share of a time budget that goes into measuring a step."""
FINISH_SHARE = 0.08
"""The share that is kept for statistics, evaluation and writing."""


@dataclass(frozen=True)
class TrainOptions:
    """A recipe. With `budget_s` there are as many steps as fit into it, at most those of `epochs`.

    `ema` is the decay of a moving average of the weights, which is then what is trained for; None keeps none.
    """

    epochs: int = 300
    batch: int = 256
    optimiser: Optimizer = field(default_factory=Sgd)
    schedule: Schedule = field(default_factory=lambda: Schedule(ramp=0.05))
    label_smoothing: float = 0.1
    augmentation: Augmentation = field(default_factory=Augmentation)
    ema: float | None = None
    seed: int = 0
    budget_s: float | None = None
    recalibration_batches: int = 50
    save_every_s: float = 15.0


@dataclass(frozen=True)
class TrainProgress:
    """After a step: means over the epoch so far, on training images."""

    step: int
    steps: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class TrainResult:
    """The weights file, keyed `{node}.weight` …, and what the network scores."""

    parameters: Path
    steps: int
    test: Score

    def describe(self) -> dict[str, Any]:
        """For a result file."""
        return {**asdict(self), "parameters": self.parameters.name}


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file.

    Raises:
        FileProblem: it is missing or damaged.
    """
    arrays, _ = read_tensors(path, WEIGHTS_SCHEMA)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def write_weights(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    """Write a weights file, atomically."""
    arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors.items()}
    return write_tensors(path, arrays, WEIGHTS_SCHEMA)


@dataclass
class _Training:
    """The stage: weights, their average, momenta, and the sums that an epoch's line in the log needs."""

    module: GraphModule
    batches: Batches
    options: TrainOptions
    progress: Callable[[TrainProgress], None] | None
    teacher: Teacher | None
    optimiser: Optimiser = field(init=False)
    steps: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def __post_init__(self) -> None:
        self.ranks = self.batches.ranks
        self.module.to(self.ranks.device)
        if self.ranks.size > 1:
            synchronise(self.module, self.ranks.total)
        self.optimiser = Optimiser(self.options.optimiser, self.ranks)
        self.average = None if self.options.ema is None else Average(self.options.ema)
        self._parameters: dict[str, nn.Parameter] = dict(self.module.named_parameters())

    def plan(self) -> dict[str, Any]:
        wanted = self.options.epochs * self.batches.an_epoch
        if self.options.budget_s is None:
            return {"steps": wanted}
        budget = self.options.budget_s
        before = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        rate = partial(self._update, lr=self.options.optimiser.lr * 0.01)
        seconds = seconds_a_step(rate, budget * CALIBRATION_SHARE, ranks=self.ranks)
        self.module.load_state_dict(before)
        self.optimiser.forget()
        affordable = int(budget * (1 - CALIBRATION_SHARE - FINISH_SHARE) / seconds)
        return {"steps": max(1, min(wanted, affordable)), "step_s": seconds, "steps_wanted": wanted}

    def follow(self, plan: dict[str, Any]) -> None:
        self.steps = plan["steps"]

    def step(self, index: int, log: EventLog) -> None:
        lr = self.options.schedule.rate(self.options.optimiser.lr, index, self.steps)
        loss, right, count = self._update(index, lr)
        if self.average is not None:
            self.average.update(self._parameters, index + 1)
        if not math.isfinite(loss):
            what = f"the loss is {loss} at step {index}"
            raise FileProblem(log.path, what, f"lower the learning rate (now {lr:g})")
        self.sums = [a + b for a, b in zip(self.sums, (loss * count, right, count), strict=True)]
        means = self.sums[0] / self.sums[2], self.sums[1] / self.sums[2]
        if self.progress is not None:
            self.progress(TrainProgress(index + 1, self.steps, *means))
        if (index + 1) % self.batches.an_epoch == 0 or index + 1 == self.steps:
            log.append("epoch", step=index + 1, loss=means[0], accuracy=means[1], lr=lr)
            self.sums = [0.0, 0.0, 0.0]

    def _update(self, index: int, lr: float) -> tuple[float, float, int]:
        """One step of all processes together: the loss, the right answers and the images of the whole batch."""
        torch.manual_seed(seed_of(self.options.seed, self.ranks.stream("train dropout"), index))
        images, targets = self.batches[index]
        self.module.train()
        with self.ranks.autocast():
            logits = self.module(images)
            loss = loss_of(logits, targets, self.options.label_smoothing)
            if self.teacher is not None:
                loss = self.teacher.joined(loss, logits, images)
        loss = weighed(loss, self.batches.weight)
        self.optimiser.descend(loss, self._parameters, lr)
        own = float(loss.detach()) / self.ranks.size
        value, right = self.ranks.totals(own, right_answers(logits, targets))
        return value, right, self.batches.size

    def finish(self) -> None:
        """Put the average of the weights, if one is kept, in their place."""
        if self.average is not None:
            self.module.load_state_dict(self.average.tensors, strict=False)

    def state(self) -> State:
        tensors = {f"weights/{name}": tensor for name, tensor in self.module.state_dict().items()}
        tensors |= self.optimiser.tensors()
        if self.average is not None:
            tensors |= {f"average/{name}": tensor for name, tensor in self.average.tensors.items()}
        return State(tensors, {"sums": self.sums})

    def restore(self, state: State) -> None:
        self.module.load_state_dict(under("weights/", state.tensors))
        self.optimiser.restore(state.tensors, self._parameters)
        if self.average is not None:
            self.average.tensors = laid_out(under("average/", state.tensors), self._parameters)
        self.sums = list(state.numbers["sums"])


def train(
    network: Network,
    data: Dataset,
    options: TrainOptions,
    folder: Path,
    initial: Mapping[str, Tensor] | None = None,
    resume: bool = True,
    progress: Callable[[TrainProgress], None] | None = None,
    teacher: Teacher | None = None,
    ranks: Ranks = ALONE,
) -> TrainResult:
    """Train `network` in `folder`, which gets `weights.safetensors`, `train.jsonl` and checkpoints.

    `initial` are weights to start from, all of the network's, keyed as its own; `teacher` is a network whose
    answers it learns from, too. A training that was interrupted goes on; one that is finished gives its result
    again; another recipe's is begun anew. Several processes train together: all call this alike, get the same result,
    and rank 0 writes.

    Raises:
        DataProblem: the images or classes do not fit the network.
        FileProblem: the folder cannot be written; the loss became infinite.
        ValueError: `initial` lacks a tensor, or has one of another shape.
    """
    data.check_fits(network.graph.inputs[0].type.sizes, network.graph.type.sizes)
    module = build_network(network, options.seed)
    if initial is not None:
        _start_from(module, initial)
    images = data.all_training
    batches = Batches(
        images, data.preprocessing, options.batch, options.seed, "train", options.augmentation, ranks
    )
    identity = _fingerprint(module, data, options, teacher)
    stage = _Training(module, batches, options, progress, teacher)
    run_stage(stage, Place(folder, "train", identity, resume, options.save_every_s, ranks=ranks))
    return _finished(module, data, batches, stage, folder)


def _start_from(module: GraphModule, initial: Mapping[str, Tensor]) -> None:
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    wrong = [
        name for name, shape in wanted.items() if name not in initial or tuple(initial[name].shape) != shape
    ]
    if wrong:
        raise ValueError(f"initial weights lack {', '.join(wrong[:5])}, or have them in another shape")
    module.load_state_dict({name: initial[name] for name in wanted})


def _fingerprint(module: GraphModule, data: Dataset, options: TrainOptions, teacher: Teacher | None) -> str:
    settings = asdict(replace(options, save_every_s=0))
    taught = teacher and [teacher.identity, teacher.weight, teacher.temperature]
    digest = hashlib.sha256(canonical_json([settings, data.digest, list(module.state_dict()), taught]))
    for tensor in module.state_dict().values():
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def _finished(
    module: GraphModule, data: Dataset, batches: Batches, stage: _Training, folder: Path
) -> TrainResult:
    stage.finish()
    plain = replace(batches, augmentation=Augmentation(), name="recalibration")
    count = min(stage.options.recalibration_batches, plain.an_epoch)
    recalibrate(module.train(), module, (plain[index][0] for index in range(count)))
    module.eval()
    path = folder / "weights.safetensors"
    if batches.ranks.first:
        write_weights(path, module.state_dict())
    # All wait for rank 0's part of the score, and so for the file, too.
    return TrainResult(path, stage.steps, score(module, data.test, data.preprocessing, ranks=batches.ranks))
