"""Weight updates whose cost is that of the tensors given, and schedules of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal as OneOf

import torch
from torch import Tensor, nn

from compiler.nets.superkernels import Superkernel
from dsl.settings import Adam, Optimizer, Sgd
from runtime.checkpoint import laid_out, under
from runtime.ranks import ALONE, Ranks

EPSILON = 1e-8


@dataclass
class Optimiser:
    """SGD or Adam over named tensors: only those handed to `step` are looked at, whatever else there is.

    Weights, the scales and shifts of norms, and biases each have a decay of their own. `momenta` (Adam's means),
    `squares` (Adam's) and `counts` of updates are made on first use. Those of tensors that are parts of a superkernel
    are parts of one tensor alike, and have one count: what the first updates passed over has its moments corrected by
    less than its own updates ask for. After k of these Adam's steps are `(1 - beta1**k) / sqrt(1 - beta2**k)` times as
    long, up to 6.6 times for 0.9 and 0.999.
    """

    options: Optimizer
    ranks: Ranks = ALONE
    superkernels: tuple[Superkernel, ...] = ()
    momenta: dict[str, Tensor] = field(default_factory=dict)
    squares: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._share(self.superkernels)

    def descend(self, loss: Tensor, parameters: Mapping[str, nn.Parameter], lr: float) -> None:
        """One update of `parameters` down the gradient of `loss`, its mean over all processes; those that it does not
        depend on stay."""
        gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        found = {
            name: gradient
            for name, gradient in zip(parameters, gradients, strict=True)
            if gradient is not None
        }
        averaged = dict(zip(found, self.ranks.mean(list(found.values())), strict=True))
        self.step({name: parameters[name] for name in found}, averaged, lr)

    @torch.no_grad()
    def step(
        self, parameters: Mapping[str, nn.Parameter], gradients: Mapping[str, Tensor], lr: float
    ) -> None:
        """One update, in place, those of torch.optim.SGD and torch.optim.AdamW."""
        groups: dict[float, list[str]] = {}
        for name in parameters:
            groups.setdefault(self._decay(name, parameters), []).append(name)
        for decay, names in groups.items():
            weights: list[Tensor] = [parameters[name] for name in names]
            given = [gradients[name] for name in names]
            if isinstance(self.options, Sgd):
                self._descend_sgd(self.options, names, weights, given, lr, decay)
            else:
                self._descend_adam(self.options, names, weights, given, lr, decay)

    def tensors(self) -> dict[str, Tensor]:
        """All that steps change, for a checkpoint."""
        found = {f"momenta/{name}": tensor for name, tensor in self.momenta.items()}
        found |= {f"squares/{name}": tensor for name, tensor in self.squares.items()}
        return found | {f"counts/{name}": torch.tensor(count) for name, count in self.counts.items()}

    def restore(self, tensors: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter]) -> None:
        """Go back to what `tensors` gave; others among them are passed over."""
        self.momenta = laid_out(under("momenta/", tensors), parameters)
        self.squares = laid_out(under("squares/", tensors), parameters)
        self._join()
        self.counts = {name: int(count) for name, count in under("counts/", tensors).items()}

    def keep(self, names: Iterable[str], superkernels: tuple[Superkernel, ...]) -> None:
        """Free what belongs to tensors of other names: these are no longer there, and `superkernels` is what is."""
        there = set(names)
        for own in (self.momenta, self.squares, self.counts):
            for name in [name for name in own if name not in there]:
                del own[name]
        self._share(superkernels)

    def _share(self, superkernels: tuple[Superkernel, ...]) -> None:
        self.superkernels = superkernels
        self._superkernel = {key: each for each in superkernels for key in each.parts}
        self._join()

    def _join(self) -> None:
        for own in (self.momenta, self.squares):
            for superkernel in self.superkernels:
                parts = {key: own[key] for key in superkernel.parts if key in own}
                if parts:
                    own |= superkernel.joined(parts, next(iter(parts.values())))

    def forget(self) -> None:
        """Start over."""
        self.restore({}, {})

    def _decay(self, name: str, parameters: Mapping[str, nn.Parameter]) -> float:
        """The decay of a tensor's group: a norm's tensors are of one dimension, both of them."""
        options = self.options
        if parameters[name].dim() > 1:
            return options.weight_decay
        place, _, kind = name.rpartition(".")
        weight = parameters.get(f"{place}.weight")
        is_bias = kind == "bias" and (weight is None or weight.dim() > 1)
        return options.bias_weight_decay if is_bias else options.norm_weight_decay

    def _descend_sgd(
        self,
        options: Sgd,
        names: Sequence[str],
        weights: list[Tensor],
        gradients: list[Tensor],
        lr: float,
        decay: float,
    ) -> None:
        """`m = momentum * m + g`; `w -= lr * (g + momentum * m)` with Nesterov, `w -= lr * m` without."""
        if decay:
            gradients = list(torch._foreach_add(gradients, weights, alpha=decay))
        if options.momentum:
            momenta = self._kept(self.momenta, names, weights)
            torch._foreach_mul_(momenta, options.momentum)
            torch._foreach_add_(momenta, gradients)
            gradients = (
                list(torch._foreach_add(gradients, momenta, alpha=options.momentum))
                if options.nesterov
                else momenta
            )
        torch._foreach_add_(weights, gradients, alpha=-lr)

    def _descend_adam(
        self,
        options: Adam,
        names: Sequence[str],
        weights: list[Tensor],
        gradients: list[Tensor],
        lr: float,
        decay: float,
    ) -> None:
        """Each tensor is corrected by the count of its own updates: a path's weights are not updated at every step."""
        for name in names:
            count = self.counts.get(name, 0) + 1
            self.counts |= dict.fromkeys(self._together(name), count)
        counts = [self.counts[name] for name in names]
        means, squares = (self._kept(each, names, weights) for each in (self.momenta, self.squares))
        if decay:
            torch._foreach_mul_(weights, 1 - lr * decay)
        torch._foreach_lerp_(means, gradients, 1 - options.beta1)
        torch._foreach_mul_(squares, options.beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - options.beta2)
        scales = list(torch._foreach_sqrt(squares))
        torch._foreach_div_(scales, [math.sqrt(1 - options.beta2**count) for count in counts])
        torch._foreach_add_(scales, EPSILON)
        torch._foreach_addcdiv_(
            weights, means, scales, [-lr / (1 - options.beta1**count) for count in counts]
        )

    def _together(self, name: str) -> Iterable[str]:
        return self._superkernel[name].parts if name in self._superkernel else (name,)

    def _kept(self, tensors: dict[str, Tensor], names: Sequence[str], like: Sequence[Tensor]) -> list[Tensor]:
        for name, tensor in zip(names, like, strict=True):
            if name not in tensors and name in self._superkernel:
                tensors |= self._superkernel[name].joined({}, tensor)
        return _kept(tensors, names, like)


def _kept(tensors: dict[str, Tensor], names: Sequence[str], like: Sequence[Tensor]) -> list[Tensor]:
    """The tensors of these names, zero at first."""
    for name, tensor in zip(names, like, strict=True):
        if name not in tensors:
            tensors[name] = torch.zeros_like(tensor)
    return [tensors[name] for name in names]


@dataclass
class Average:
    """The exponential moving average of weights, corrected at the start: after t steps the mean of all t values
    with weights `decay^(t - i)`, as Kingma and Ba (ICLR 2015, section 3) correct their moments."""

    decay: float
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor], count: int) -> None:
        """Take in the weights after step number `count`, from 1."""
        names, values = list(weights), list(weights.values())
        share = (1 - self.decay) / (1 - self.decay**count)
        torch._foreach_lerp_(_kept(self.tensors, names, values), values, share)


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
