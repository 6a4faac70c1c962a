"""Adam (Kingma and Ba, ICLR 2015) as architecture parameters get it: no momentum, a count for each of them.

Betas (0, 0.999), as in ProxylessNAS's public search code. An update may touch some parameters alone; the others'
second moments and counts stay as they were.
"""

from __future__ import annotations

import torch
from torch import Tensor

BETA, EPSILON = 0.999, 1e-8


class Adam:
    """Second moments and counts of updates of `alpha`, which it changes in place; all of shape `[parameters]`."""

    def __init__(self, alpha: Tensor) -> None:
        self.alpha = alpha
        self.squares, self.counts = torch.zeros_like(alpha), torch.zeros_like(alpha)

    @torch.no_grad()
    def descend(self, gradient: Tensor, touched: Tensor, lr: float) -> None:
        """One step of the parameters at the places `touched` along their part of `gradient`."""
        given = gradient[touched]
        self.counts[touched] += 1
        self.squares[touched] = BETA * self.squares[touched] + (1 - BETA) * given**2
        corrected = self.squares[touched] / (1 - BETA ** self.counts[touched])
        self.alpha[touched] -= lr * given / (corrected.sqrt() + EPSILON)
