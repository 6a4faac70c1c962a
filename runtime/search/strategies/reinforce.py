"""REINFORCE on shared weights: ProxylessNAS (Cai, Zhu, Han, ICLR 2019), section 3.3.2."""

from __future__ import annotations

from typing import Any

import torch

from compiler.nets.architecture_parameters import ArchitectureParameters
from compiler.nets.streams import stream
from compiler.path_costs import Picks
from dsl.settings import Reinforce
from runtime.checkpoint import State
from runtime.search.evaluators.supernet import PathTrainer
from runtime.search.problem import Problem
from runtime.search.samplers.reinforce import Baseline, policy_objective
from runtime.search.strategies.gated import GatedSearch


class ReinforceSearch(GatedSearch):
    """Alpha follows the rewards of some drawn networks, all judged on the same batch of the validation split."""

    def __init__(self, problem: Problem, trainer: PathTrainer, settings: Reinforce) -> None:
        super().__init__(problem, trainer, settings)
        self.drawing = settings
        self.baseline = Baseline()

    def architecture_step(self, number: int, left: float) -> dict[str, float]:
        """The policy gradient of the rewards, and the exact one of costs and entropy, in one step of Adam."""
        drawn, rewards, loss, accuracy = self._rewards(number)
        advantages = self.baseline.advantages(rewards)
        _, weights = self.costs.weights(self.expected(), loss)
        objective = policy_objective(self.alphas, drawn, advantages)
        objective = objective + self.cost_objective(weights, self.alphas.alive) + self.entropy_objective(left)
        (gradient,) = torch.autograd.grad(objective, self.alphas.alpha)
        self.adam.descend(gradient, _places(self.alphas), self.schedule.alpha_lr)
        return {"loss": loss, "accuracy": accuracy, "baseline": self.baseline.value or 0.0}

    def try_architecture_step(self, number: int) -> object:
        """The rewards of the networks of one update."""
        return self._rewards(number)

    def _rewards(self, number: int) -> tuple[list[Picks], list[float], float, float]:
        """Networks, their rewards, and the means of loss and accuracy."""
        generator = stream(self.options.seed, "architecture path", number)
        drawn = [self.alphas.draw(generator) for _ in range(self.drawing.samples)]
        scores = [self.trainer.glance(picks, number) for picks in drawn]
        rewards = [score.accuracy * self._factor(picks) for score, picks in zip(scores, drawn, strict=True)]
        count = len(drawn)
        return drawn, rewards, sum(s.loss for s in scores) / count, sum(s.accuracy for s in scores) / count

    def _factor(self, picks: Picks) -> float:
        """`(limit / latency) ** exponent` for each cap on latency that a network breaks (MnasNet, Tan et al., CVPR
        2019, section 3.1, the form of a hard constraint): one that holds it is not paid for being faster still."""
        factor = 1.0
        for cap in self.problem.caps.caps:
            if cap.name.startswith("latency") and cap.relation == "<=" and not cap.holds(picks):
                factor *= (cap.limit / cap.metric.total(picks)) ** self.drawing.exponent
        return factor

    def state(self) -> State:
        """The gated state, and the baseline."""
        shared = super().state()
        return State(shared.tensors, {**shared.numbers, "baseline": self.baseline.value})

    def restore(self, state: State) -> None:
        """Go back to a state."""
        super().restore(state)
        self.baseline.value = state.numbers["baseline"]

    def plan(self) -> dict[str, Any]:
        """As of all gated searches; the baseline is left as it was."""
        plan = super().plan()
        self.baseline = Baseline()
        return plan


def _places(alphas: ArchitectureParameters) -> torch.Tensor:
    """The places in alpha of the candidates that are left."""
    offsets = [0, *torch.tensor(alphas.candidates).cumsum(0).tolist()]
    return torch.tensor([start + i for start, row in zip(offsets, alphas.alive, strict=False) for i in row])
