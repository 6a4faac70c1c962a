"""The loss of a search's weights and of a training: smoothed labels, mixed labels, a teacher's answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


def loss_of(logits: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
    """The mean cross entropy, in nats, of logits `[batch, classes]`.

    `targets` are labels `[batch]` or shares of the classes `[batch, classes]`, as batches give them; smoothing is
    that of Szegedy et al. (CVPR 2016): the share `label_smoothing` of each target is spread over all classes.
    """
    return F.cross_entropy(logits, targets, label_smoothing=label_smoothing)


def weighed(loss: Tensor, weight: float) -> Tensor:
    """A process's loss as it counts in the mean over all processes: `weight` is that of its part of the batch."""
    return loss if weight == 1 else loss * weight


def right_answers(logits: Tensor, targets: Tensor) -> int:
    """For how many images the greatest logit is that of the target's greatest share."""
    labels = targets if targets.dim() == 1 else targets.argmax(1)
    return int((logits.detach().argmax(1) == labels).sum())


@dataclass(frozen=True)
class Teacher:
    """A trained network to learn from: `answers` maps inputs to logits, `identity` tells it from others."""

    answers: Callable[[Tensor], Tensor]
    weight: float
    temperature: float
    identity: str

    def joined(self, loss: Tensor, logits: Tensor, inputs: Tensor) -> Tensor:
        """`(1 - weight) * loss + weight * T^2 * KL(teacher || student)`, both softened by the temperature T.

        Hinton, Vinyals, Dean 2015 (arXiv 1503.02531), section 2: the factor T^2 keeps the gradient's scale.
        """
        with torch.no_grad():
            wanted = F.log_softmax(self.answers(inputs) / self.temperature, 1)
        given = F.log_softmax(logits / self.temperature, 1)
        divergence = F.kl_div(given, wanted, reduction="batchmean", log_target=True)
        return (1 - self.weight) * loss + self.weight * self.temperature**2 * divergence
