"""Gradient-based search with binary gates: ProxylessNAS (Cai, Zhu, Han, ICLR 2019), sections 3.2 and 3.3.

In an architecture step batch norm uses the batch's own statistics, as the paths are trained, and leaves the running
ones alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from compiler.nets.architecture_parameters import draw_pairs, gate_objective, one_hot_gates
from compiler.nets.streams import stream
from dsl.settings import Gradient
from runtime.loss import weighed
from runtime.search.evaluators.supernet import PathTrainer
from runtime.search.problem import Problem
from runtime.search.strategies.gated import GatedSearch

Compared = Sequence[Sequence[int]]


class GradientSearch(GatedSearch):
    """Alpha follows the gradient of the gates: of all candidates that are left, or of two a decision."""

    def __init__(self, problem: Problem, trainer: PathTrainer, settings: Gradient) -> None:
        super().__init__(problem, trainer, settings)
        self.two_path = settings.update == "two_path"

    def architecture_step(self, number: int, left: float) -> dict[str, float]:
        """The binarised gradient of the loss, and the exact one of costs and entropy, in one step of Adam."""
        compared, gradients, loss, accuracy = self.gate_gradients(number)
        task, weights = self.costs.weights(self.expected(), loss)
        objective = task * gate_objective(self.alphas.shares(compared), gradients)
        objective = objective + self.cost_objective(weights, compared) + self.entropy_objective(left)
        (gradient,) = torch.autograd.grad(objective, self.alphas.alpha)
        self.update(gradient, compared)
        return {"loss": loss, "accuracy": accuracy}

    def try_architecture_step(self, number: int) -> object:
        """The gradients of the gates."""
        return self.gate_gradients(number)

    def gate_gradients(self, number: int) -> tuple[Compared, tuple[Tensor, ...], float, float]:
        """Who was compared, the gradients of their gates, and the batch's loss and accuracy, over all processes."""
        trainer, generator = self.trainer, stream(self.options.seed, "architecture path", number)
        compared: Compared = self.alphas.alive
        if self.two_path:
            compared, paths = draw_pairs(self.alphas.probabilities(), generator)
        else:
            paths = self.alphas.draw(generator)
        images, labels = trainer.validation[number]
        gates = one_hot_gates(compared, paths, images.device)
        with trainer.ranks.autocast():
            logits = trainer.supernet.gated_logits(images, paths, compared, gates)
            loss = weighed(F.cross_entropy(logits, labels), trainer.validation.weight)
        own = torch.autograd.grad(loss, gates, materialize_grads=True)
        gradients = tuple(gradient.cpu() for gradient in trainer.ranks.mean(own))
        seen = trainer.score_of_all(loss, logits, labels)
        return compared, gradients, seen.loss, seen.accuracy

    @torch.no_grad()
    def update(self, gradient: Tensor, compared: Compared) -> None:
        """Adam on the candidates compared; in the two-path form the others' probabilities stay.

        For that, log(sum exp(new) / sum exp(old)) over the two is subtracted from both (section 3.2).
        """
        offsets = [0, *torch.tensor(self.alphas.candidates).cumsum(0).tolist()]
        groups = [[start + i for i in chosen] for start, chosen in zip(offsets, compared, strict=False)]
        touched = torch.tensor([place for group in groups for place in group])
        old = self.alphas.alpha.detach().clone()
        self.adam.descend(gradient, touched, self.schedule.alpha_lr)
        if self.two_path:
            for group in groups:
                alpha = self.alphas.alpha
                alpha[group] -= torch.logsumexp(alpha[group], 0) - torch.logsumexp(old[group], 0)
