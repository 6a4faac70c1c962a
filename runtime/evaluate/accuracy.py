"""How good a network is: accuracy and loss in evaluation mode, after its batch norm knows the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compiler.nets.modules import Operation
from runtime.data.dataset import Preprocessing, Split
from runtime.ranks import ALONE, Ranks

Forward = Callable[[Tensor], Tensor]
"""Inputs `[batch, channels, height, width]` to logits `[batch, classes]`."""


@dataclass(frozen=True)
class Score:
    """Shares from 0 to 1, cross entropy in nats, and over how many images."""

    accuracy: float
    loss: float
    count: int


def score(
    forward: Forward, split: Split, preprocessing: Preprocessing, batch: int = 500, ranks: Ranks = ALONE
) -> Score:
    """The score of `forward` on every image of a split, in order; each process runs its part of them."""
    right, loss = 0, 0.0
    places = torch.arange(len(split))[ranks.own(len(split))]
    with torch.no_grad():
        for start in range(0, len(places), batch):
            pixels, labels = split.take(places[start : start + batch])
            logits = forward(preprocessing.apply(pixels).to(ranks.device))
            labels = labels.to(ranks.device)
            right += int((logits.argmax(1) == labels).sum())
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
    right_of_all, loss_of_all = ranks.totals(right, loss)
    return Score(right_of_all / len(split), loss_of_all / len(split), len(split))


def recalibrate(module: nn.Module, forward: Forward, batches: Iterable[Tensor]) -> None:
    """Set the running statistics of batch norm to the mean over `batches`, run by `forward` in training mode.

    A path of a supernet has statistics of all the paths that ran through it; a trained network those of its
    last steps. Both are judged by the statistics of the data (Yu and Huang, ICCV 2019, section 3.3).
    """
    norms = [part for part in module.modules() if isinstance(part, Operation) and part.op == "bn"]
    momenta = [norm.settings["momentum"] for norm in norms]
    try:
        with torch.no_grad():
            for index, batch in enumerate(batches):
                for norm in norms:
                    norm.settings["momentum"] = Fraction(1, index + 1)
                forward(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.settings["momentum"] = momentum
