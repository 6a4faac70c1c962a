"""The supernet as evaluator: its weights are trained one path at a time, and single paths are judged by them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compiler.nets.modules import synchronise
from compiler.nets.streams import seed_of
from compiler.nets.supernet import Paths, Supernet
from runtime.checkpoint import State, under
from runtime.data.batches import Augmentation, Batches
from runtime.data.dataset import Dataset, Split
from runtime.evaluate.accuracy import Score, recalibrate, score
from runtime.events import EventLog
from runtime.files import canonical_json
from runtime.loss import loss_of, right_answers, weighed
from runtime.optimiser import Optimiser
from runtime.ranks import ALONE, Ranks
from runtime.search.options import SearchOptions, SearchProblem, SearchProgress


class Diverged(SearchProblem):
    """A loss that is infinite, or no number."""

    def __init__(self, loss: float, step: int, lr: float) -> None:
        super().__init__(f"the loss is {loss} at step {step}", f"lower the learning rate ({lr:g})")


@dataclass
class PathTrainer:
    """A supernet, the data it learns from, and the sums that an epoch's line in the log needs.

    Several processes hold it all alike, and do each step together, each on its part of the batch.
    """

    supernet: Supernet
    data: Dataset
    options: SearchOptions
    progress: Callable[[SearchProgress], None] | None = None
    ranks: Ranks = ALONE
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def __post_init__(self) -> None:
        self.supernet.to(self.ranks.device)
        if self.ranks.size > 1:
            synchronise(self.supernet, self.ranks.total)
        self.optimiser = Optimiser(self.options.optimiser, self.ranks, self.supernet.superkernels)
        self.batches = self._series(self.data.train, "search weights", self.options.augmentation)
        self.validation = self._series(self.data.validation, "search architecture", Augmentation())

    def _series(self, split: Split, name: str, augmentation: Augmentation) -> Batches:
        options, preprocessing = self.options, self.data.preprocessing
        return Batches(split, preprocessing, options.batch, options.seed, name, augmentation, self.ranks)

    def weight_step(self, index: int, paths: Paths, lr: float) -> None:
        """One step of the weights along `paths`: no other tensor is read, changed or exchanged.

        Raises:
            Diverged: the loss is no longer finite.
        """
        torch.manual_seed(seed_of(self.options.seed, self.ranks.stream("search dropout"), index))
        images, targets = self.batches[index]
        with self.ranks.autocast():
            logits = self.supernet.logits(images, paths)
            loss = loss_of(logits, targets, self.options.label_smoothing)
        loss = weighed(loss, self.batches.weight)
        self.optimiser.descend(loss, self.supernet.path_parameters(paths), lr)
        own = float(loss.detach()) / self.ranks.size
        value, right = self.ranks.totals(own, right_answers(logits, targets))
        if not math.isfinite(value):
            raise Diverged(value, index, lr)
        self.sums = [a + b for a, b in zip(self.sums, (value, right / self.batches.size, 1), strict=True)]

    @property
    def means(self) -> tuple[float, float]:
        """Loss and accuracy, means over the epoch so far."""
        count = max(1.0, self.sums[2])
        return self.sums[0] / count, self.sums[1] / count

    def log_epoch(self, log: EventLog, index: int, steps: int, phase: str, lr: float) -> bool:
        """Whether step `index` of `steps` ends an epoch; then its means are logged, and the next one begins."""
        ends = (index + 1) % self.batches.an_epoch == 0 or index + 1 == steps
        if ends:
            loss, accuracy = self.means
            log.append("epoch", step=index + 1, phase=phase, loss=loss, accuracy=accuracy, lr=lr)
            self.sums = [0.0, 0.0, 0.0]
        return ends

    def judge(self, paths: Paths, split: Split | None = None) -> Score:
        """The score of one path in evaluation mode, its batch-norm statistics recalibrated first."""
        self._recalibrate(paths, self.options.recalibration_batches)
        return score(
            lambda images: self.supernet.logits(images, paths, "evaluate"),
            self.data.validation if split is None else split,
            self.data.preprocessing,
            ranks=self.ranks,
        )

    def score_of(self, picks: Paths) -> float:
        """The accuracy of one path on the validation split."""
        return self.judge(picks).accuracy

    def known(self) -> None:
        """All networks of the space."""

    @property
    def digest(self) -> str:
        """Of the data, and of the names and shapes of all weights."""
        shapes = {name: list(tensor.shape) for name, tensor in self.supernet.state_dict().items()}
        return hashlib.sha256(canonical_json([self.data.digest, shapes])).hexdigest()

    def glance(self, paths: Paths, number: int) -> Score:
        """The score of one path on batch `number` of the validation split, with the batch's own statistics."""
        images, labels = self.validation[number]
        with torch.no_grad(), self.ranks.autocast():
            logits = self.supernet.logits(images, paths, "observe")
            loss = weighed(F.cross_entropy(logits, labels), self.validation.weight)
        return self.score_of_all(loss, logits, labels)

    def score_of_all(self, loss: Tensor, logits: Tensor, labels: Tensor) -> Score:
        """From a process's part of a batch of the validation split to the score on all of it.

        The right answers are counted, so that networks with as many have the same accuracy to the last bit.
        """
        own = float(loss.detach()) / self.ranks.size
        value, right = self.ranks.totals(own, right_answers(logits, labels))
        accuracy = float(torch.tensor(right, dtype=torch.float32) / self.validation.size)
        return Score(accuracy, value, self.validation.size)

    def _recalibrate(self, paths: Paths, batches: int) -> None:
        plain = replace(self.batches, augmentation=Augmentation(), name="recalibration")
        inputs = (plain[index][0] for index in range(min(batches, plain.an_epoch)))
        recalibrate(self.supernet, lambda images: self.supernet.logits(images, paths), inputs)

    def drop(self, decision: int, pick: int) -> None:
        """Free a candidate's weights and momenta."""
        self.supernet.drop(decision, pick)
        names = [name for name, _ in self.supernet.named_parameters()]
        self.optimiser.keep(names, self.supernet.superkernels)

    def state(self) -> State:
        """Weights, statistics, momenta and sums."""
        tensors = {f"weights/{name}": tensor for name, tensor in self.supernet.state_dict().items()}
        tensors |= self.optimiser.tensors()
        return State(tensors, {"sums": self.sums})

    def restore(self, state: State) -> None:
        """Go back to a state."""
        self.supernet.load_state_dict(under("weights/", state.tensors))
        parameters: dict[str, nn.Parameter] = dict(self.supernet.named_parameters())
        self.optimiser.restore(state.tensors, parameters)
        self.sums = list(state.numbers["sums"])

    def copied(self) -> State:
        """The state, in tensors of its own."""
        state = self.state()
        return State(
            {name: tensor.clone() for name, tensor in state.tensors.items()}, {"sums": list(self.sums)}
        )
