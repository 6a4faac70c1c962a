"""Training a supernet's weights one path at a time, and judging single paths: what strategies share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import nn

from compiler.expected import LatencyCosts, costs_of, fastest, total_ms
from compiler.nets.streams import seed_of
from compiler.nets.supernet import Paths, Supernet
from runtime.checkpoint import State, laid_out, under
from runtime.data.batches import Augmentation, Batches
from runtime.data.dataset import Dataset, Split
from runtime.evaluate.accuracy import Score, recalibrate, score
from runtime.optimiser import Optimiser
from runtime.search.options import InfeasibleCap, SearchOptions, SearchProblem, SearchProgress


@dataclass(frozen=True)
class Latency:
    """The additive latency of a supernet's decisions, and the cap on it."""

    fixed_ms: float
    costs: tuple[tuple[float, ...], ...]
    cap_ms: float | None

    @staticmethod
    def of(supernet: Supernet, costs: LatencyCosts | None, cap_ms: float | None) -> Latency:
        """From a cost model's prices; without them, every latency is 0 and there can be no cap.

        Raises:
            InfeasibleCap: no network is under the cap.
            SearchProblem: a cap without prices, or prices that do not fit the space.
        """
        if costs is None:
            if cap_ms is not None:
                raise SearchProblem("a cap on latency needs a latency table", "profile the target first")
            return Latency(0.0, tuple((0.0,) * size for size in supernet.candidates), None)
        try:
            latency = Latency(costs.fixed_ms, costs_of(supernet.decisions, costs), cap_ms)
        except ValueError as problem:
            raise SearchProblem(f"{problem}", "profile the target for this space") from None
        if cap_ms is not None and latency.minimum_ms > cap_ms:
            raise InfeasibleCap(cap_ms, latency.minimum_ms)
        return latency

    @property
    def minimum_ms(self) -> float:
        """The least latency that any network of the space has."""
        return self.total_ms(fastest(self.costs))

    def total_ms(self, picks: Paths) -> float:
        """The latency of one network."""
        return total_ms(self.fixed_ms, self.costs, picks)


@dataclass
class PathTrainer:
    """A supernet, the data it learns from, and the sums that an epoch's line in the log needs."""

    supernet: Supernet
    data: Dataset
    options: SearchOptions
    progress: Callable[[SearchProgress], None] | None = None
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def __post_init__(self) -> None:
        self.optimiser = Optimiser(self.options.optimiser)
        self.batches = self._series(self.data.train, "search weights", self.options.augmentation)
        self.validation = self._series(self.data.validation, "search architecture", Augmentation())

    def _series(self, split: Split, name: str, augmentation: Augmentation) -> Batches:
        options = self.options
        return Batches(split, self.data.preprocessing, options.batch, options.seed, name, augmentation)

    def weight_step(self, index: int, paths: Paths, lr: float) -> None:
        """One step of the weights along `paths`: no other tensor is read or changed."""
        torch.manual_seed(seed_of(self.options.seed, "search dropout", index))
        images, labels = self.batches[index]
        logits = self.supernet.logits(images, paths)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.options.label_smoothing)
        self.optimiser.descend(loss, self.supernet.path_parameters(paths), lr)
        right = int((logits.detach().argmax(1) == labels).sum())
        value = float(loss.detach())
        if not math.isfinite(value):
            raise SearchProblem(f"the loss is {value} at step {index}", f"lower the learning rate ({lr:g})")
        self.sums = [a + b for a, b in zip(self.sums, (value, right / len(labels), 1), strict=True)]

    @property
    def means(self) -> tuple[float, float]:
        """Loss and accuracy, means over the epoch so far."""
        count = max(1.0, self.sums[2])
        return self.sums[0] / count, self.sums[1] / count

    def judge(self, paths: Paths, split: Split) -> Score:
        """The score of one path in evaluation mode, its batch-norm statistics recalibrated first."""
        plain = replace(self.batches, augmentation=Augmentation(), name="recalibration")
        count = min(self.options.recalibration_batches, plain.an_epoch)
        inputs = (plain[index][0] for index in range(count))
        recalibrate(self.supernet, lambda images: self.supernet.logits(images, paths), inputs)
        return score(
            lambda images: self.supernet.logits(images, paths, "evaluate"), split, self.data.preprocessing
        )

    def state(self) -> State:
        """Weights, statistics, momenta and sums."""
        tensors = {f"weights/{name}": tensor for name, tensor in self.supernet.state_dict().items()}
        tensors |= {f"momenta/{name}": tensor for name, tensor in self.optimiser.momenta.items()}
        return State(tensors, {"sums": self.sums})

    def restore(self, state: State) -> None:
        """Go back to a state."""
        self.supernet.load_state_dict(under("weights/", state.tensors))
        parameters: dict[str, nn.Parameter] = dict(self.supernet.named_parameters())
        self.optimiser.momenta = laid_out(under("momenta/", state.tensors), parameters)
        self.sums = list(state.numbers["sums"])

    def copied(self) -> State:
        """The state, in tensors of its own."""
        state = self.state()
        return State(
            {name: tensor.clone() for name, tensor in state.tensors.items()}, {"sums": list(self.sums)}
        )
