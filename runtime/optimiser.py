"""Weight updates whose cost is that of the tensors given, and schedules of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal as OneOf

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent with momentum (Sutskever et al. 2013 for Nesterov's form)."""

    lr: float = 0.05
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 4e-5


@dataclass
class Optimiser:
    """SGD over named tensors: only those handed to `step` are looked at, whatever else there is.

    Tensors of one dimension (batch norm, biases) are not decayed. `momenta` are made on first use.
    """

    options: Sgd
    momenta: dict[str, Tensor] = field(default_factory=dict)

    def descend(self, loss: Tensor, parameters: Mapping[str, nn.Parameter], lr: float) -> None:
        """One update of `parameters` down the gradient of `loss`; those it does not depend on stay."""
        gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        found = {
            name: gradient
            for name, gradient in zip(parameters, gradients, strict=True)
            if gradient is not None
        }
        self.step({name: parameters[name] for name in found}, found, lr)

    def step(
        self, parameters: Mapping[str, nn.Parameter], gradients: Mapping[str, Tensor], lr: float
    ) -> None:
        """One update, in place.

        The form of torch.optim.SGD: `m = momentum * m + g`; `w -= lr * (g + momentum * m)` with Nesterov.
        """
        for decayed in (True, False):
            names = [name for name, tensor in parameters.items() if (tensor.dim() > 1) is decayed]
            if names:
                decay = self.options.weight_decay if decayed else 0.0
                self._update(names, parameters, [gradients[name] for name in names], lr, decay)

    @torch.no_grad()
    def _update(
        self,
        names: list[str],
        parameters: Mapping[str, nn.Parameter],
        given: list[Tensor],
        lr: float,
        decay: float,
    ) -> None:
        weights: list[Tensor] = [parameters[name] for name in names]
        gradients = list(torch._foreach_add(given, weights, alpha=decay)) if decay else given
        if self.options.momentum:
            for name, weight in zip(names, weights, strict=True):
                if name not in self.momenta:
                    self.momenta[name] = torch.zeros_like(weight)
            momenta = [self.momenta[name] for name in names]
            torch._foreach_mul_(momenta, self.options.momentum)
            torch._foreach_add_(momenta, gradients)
            gradients = (
                list(torch._foreach_add(gradients, momenta, alpha=self.options.momentum))
                if self.options.nesterov
                else momenta
            )
        torch._foreach_add_(weights, gradients, alpha=-lr)


@dataclass(frozen=True)
class Schedule:
    """The learning rate over a run: a linear ramp over a share of the steps, then cosine to zero or constant."""

    kind: OneOf["cosine", "constant"] = "cosine"
    ramp: float = 0.0

    def rate(self, lr: float, index: int, steps: int) -> float:
        """The rate of step `index` of `steps`."""
        ramp = self.ramp * steps
        if index < ramp:
            return lr * (index + 1) / (ramp + 1)
        if self.kind == "constant":
            return lr
        return lr * 0.5 * (1 + math.cos(math.pi * (index - ramp) / max(1.0, steps - ramp)))
