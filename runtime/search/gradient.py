"""Gradient-based search with binary gates: ProxylessNAS (Cai, Zhu, Han, ICLR 2019), sections 3.2 and 3.3.

Weights are trained along drawn paths. After every few of their steps comes an architecture step on a batch
of the validation split, with weights and batch-norm statistics frozen: batch norm then uses the batch's own
statistics, as the paths are trained, and leaves the running ones alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.nets.architecture_parameters import (
    ArchitectureParameters,
    draw_pairs,
    draw_uniform,
    expected_latency,
    gate_objective,
    one_hot_gates,
)
from compiler.nets.streams import stream
from compiler.nets.supernet import Paths
from runtime.checkpoint import State
from runtime.events import EventLog
from runtime.loop import seconds_a_step
from runtime.search.adam import Adam
from runtime.search.options import SearchProgress
from runtime.search.paths import Latency, PathTrainer
from runtime.search.penalty import Penalty
from runtime.search.plan import CALIBRATION_SHARE, Plan, make_plan

UPDATES = ("recompute", "two_path")
SNAPSHOTS = 100
"""How many times in a search the probabilities of all decisions are written to the log."""


@dataclass
class GradientSearch:
    """The stage of the gradient strategy: a `PathTrainer`, alpha with its second moments, and the penalty."""

    trainer: PathTrainer
    latency: Latency
    alphas: ArchitectureParameters = field(init=False)
    penalty: Penalty = field(init=False)
    schedule: Plan = field(init=False)

    def __post_init__(self) -> None:
        self.options = self.trainer.options
        self.alphas = ArchitectureParameters(self.trainer.supernet.candidates, self.options.seed)
        self.adam = Adam(self.alphas.alpha)

    def plan(self) -> dict[str, Any]:
        """Without a budget, from the epochs; with one, from measured steps, whose traces are undone."""
        if self.options.budget_s is None:
            return make_plan(self.options, self.trainer.batches.an_epoch).describe()
        before, limit = self.trainer.copied(), self.options.budget_s * CALIBRATION_SHARE / 2
        weight_s = seconds_a_step(
            lambda index: self.trainer.weight_step(index, self._random_path(index), 1e-4), limit
        )
        architecture_s = seconds_a_step(self._gate_gradients, limit, least=3)
        self.trainer.restore(before)
        plan = make_plan(self.options, self.trainer.batches.an_epoch, weight_s, architecture_s)
        measured = {"weight_step_s": weight_s, "architecture_step_s": architecture_s}
        return {**plan.describe(), **measured}

    def follow(self, plan: dict[str, Any]) -> None:
        """Take over the plan."""
        self.schedule = Plan.read(plan)
        self.penalty = Penalty(self.latency.cap_ms, self.schedule.architecture_steps)

    def step(self, index: int, log: EventLog) -> None:
        """One weight step, and the architecture step that is due after it."""
        plan, options = self.schedule, self.options
        warming = index < plan.warmup
        paths = self._random_path(index) if warming else self.alphas.draw(stream(options.seed, "path", index))
        lr = options.schedule.rate(options.optimiser.lr, index, plan.steps)
        self.trainer.weight_step(index, paths, lr)
        number = plan.architecture_step(index)
        if number is not None:
            self._architecture_step(number, index, log)
        self._report(index, "warm-up" if warming else "search", lr, log)

    def _random_path(self, index: int) -> Paths:
        return draw_uniform(self.alphas.candidates, stream(self.options.seed, "warm-up path", index))

    def _report(self, index: int, phase: Any, lr: float, log: EventLog) -> None:
        trainer, plan = self.trainer, self.schedule
        loss, accuracy = trainer.means
        if trainer.progress is not None:
            expected_ms, entropy = float(self._expected_ms().detach()), self.alphas.entropy()
            trainer.progress(
                SearchProgress(index + 1, plan.steps, phase, loss, accuracy, expected_ms, entropy)
            )
        if (index + 1) % trainer.batches.an_epoch == 0 or index + 1 == plan.steps:
            log.append("epoch", step=index + 1, phase=phase, loss=loss, accuracy=accuracy, lr=lr)
            trainer.sums = [0.0, 0.0, 0.0]

    def _expected_ms(self) -> Tensor:
        return expected_latency(self.latency.fixed_ms, self.latency.costs, self.alphas.probabilities())

    def _architecture_step(self, number: int, index: int, log: EventLog) -> None:
        compared, gradients, loss, accuracy = self._gate_gradients(number)
        expected_ms = float(self._expected_ms().detach())
        shares = self.alphas.shares(compared)
        costs = [[row[i] for i in chosen] for row, chosen in zip(self.latency.costs, compared, strict=True)]
        objective = gate_objective(shares, gradients) + self.penalty.weight(expected_ms) * expected_latency(
            0.0, costs, shares
        )
        (gradient,) = torch.autograd.grad(objective, self.alphas.alpha)
        self._update(gradient, compared)
        self.penalty.update(expected_ms)
        self._log_architecture(number, index, {"loss": loss, "accuracy": accuracy}, log)

    def _gate_gradients(
        self, number: int
    ) -> tuple[Sequence[Sequence[int]], tuple[Tensor, ...], float, float]:
        """Who was compared, the gradients of their gates, and the batch's loss and accuracy."""
        supernet, generator = self.trainer.supernet, stream(self.options.seed, "architecture path", number)
        compared: Sequence[Sequence[int]] = [range(size) for size in self.alphas.candidates]
        if self.options.update == "two_path":
            compared, paths = draw_pairs(self.alphas.probabilities(), generator)
        else:
            paths = self.alphas.draw(generator)
        images, labels = self.trainer.validation[number]
        gates = one_hot_gates(compared, paths)
        logits = supernet.gated_logits(images, paths, compared, gates)
        loss = F.cross_entropy(logits, labels)
        gradients = torch.autograd.grad(loss, gates, materialize_grads=True)
        accuracy = float((logits.detach().argmax(1) == labels).float().mean())
        return compared, gradients, float(loss.detach()), accuracy

    @torch.no_grad()
    def _update(self, gradient: Tensor, compared: Sequence[Sequence[int]]) -> None:
        """Adam on the candidates compared; in the two-path form the others' probabilities stay.

        For that, log(sum exp(new) / sum exp(old)) over the two is subtracted from both (section 3.2).
        """
        offsets = [0, *torch.tensor(self.alphas.candidates).cumsum(0).tolist()]
        groups = [[start + i for i in chosen] for start, chosen in zip(offsets, compared, strict=False)]
        touched = torch.tensor([place for group in groups for place in group])
        old = self.alphas.alpha.detach().clone()
        self.adam.descend(gradient, touched, self.schedule.alpha_lr)
        if self.options.update == "two_path":
            for group in groups:
                alpha = self.alphas.alpha
                alpha[group] -= torch.logsumexp(alpha[group], 0) - torch.logsumexp(old[group], 0)

    def _log_architecture(self, number: int, index: int, found: dict[str, float], log: EventLog) -> None:
        expected_ms, entropy = float(self._expected_ms().detach()), self.alphas.entropy()
        numbers = {"expected_ms": expected_ms, "price": self.penalty.price, "entropy": entropy}
        log.append("architecture", step=index + 1, number=number, **found, **numbers)
        total = self.schedule.architecture_steps
        if number % max(1, total // SNAPSHOTS) == 0 or number + 1 == total:
            log.append("probabilities", step=index + 1, probabilities=self.probabilities())

    def probabilities(self) -> dict[str, dict[str, float]]:
        """The probability of each candidate, by decision and label."""
        decisions = self.trainer.supernet.decisions
        parts = [part.detach().tolist() for part in self.alphas.probabilities()]
        return {
            each.name: dict(zip(each.labels, part, strict=True))
            for each, part in zip(decisions, parts, strict=True)
        }

    def scores(self) -> list[list[float]]:
        """What the network returned has the most of, in sum: log-probabilities."""
        return self.alphas.log_probabilities()

    def state(self) -> State:
        """The trainer's state, alpha, its moments, and the penalty's price."""
        shared = self.trainer.state()
        own = {
            "alpha": self.alphas.alpha.detach(),
            "alpha_squares": self.adam.squares,
            "alpha_counts": self.adam.counts,
        }
        return State({**shared.tensors, **own}, {**shared.numbers, "penalty": asdict(self.penalty)})

    def restore(self, state: State) -> None:
        """Go back to a state."""
        self.trainer.restore(state)
        with torch.no_grad():
            self.alphas.alpha.copy_(state.tensors["alpha"])
        self.adam.squares = state.tensors["alpha_squares"].clone()
        self.adam.counts = state.tensors["alpha_counts"].clone()
        self.penalty = Penalty(**state.numbers["penalty"])
