"""Updates are PyTorch's, each group of tensors has its decay, and averages are corrected at the start."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from dsl.settings import Adam, Optimizer, Sgd  # noqa: E402
from runtime.optimiser import Average, Optimiser, Schedule  # noqa: E402

pytestmark = pytest.mark.torch


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))


def groups(module: nn.Module, options: Optimizer) -> list[dict[str, Any]]:
    """The three groups as PyTorch takes them."""
    convolution, norm, _, linear = module
    return [
        {"params": [convolution.weight, linear.weight], "weight_decay": options.weight_decay},
        {"params": [norm.weight, norm.bias], "weight_decay": options.norm_weight_decay},
        {"params": [convolution.bias, linear.bias], "weight_decay": options.bias_weight_decay},
    ]


def reference(module: nn.Module, options: Optimizer) -> torch.optim.Optimizer:
    parts = groups(module, options)
    if isinstance(options, Adam):
        return torch.optim.AdamW(parts, options.lr, (options.beta1, options.beta2))
    return torch.optim.SGD(parts, options.lr, options.momentum, nesterov=options.nesterov)


def descend(module: nn.Module, optimiser: Optimiser, inputs: torch.Tensor) -> None:
    loss = module(inputs).square().sum()
    optimiser.descend(loss, dict(module.named_parameters()), optimiser.options.lr)


@pytest.mark.parametrize(
    "options",
    [
        Sgd(0.1, 0.9, True, 0.01),
        Sgd(0.1, 0.9, False, 0.01, 0.1, 0.02),
        Sgd(0.1, 0.0, False, 0.0, 0.1, 0.1),
        Adam(),
        Adam(0.01, 0.8, 0.95, 0.1),
        Adam(0.01, 0.0, 0.9, 0.1, 0.2, 0.3),
    ],
)
def test_updates_are_those_of_torch(options: Optimizer) -> None:
    ours, theirs = network(), network()
    optimiser, other = Optimiser(options), reference(theirs, options)
    for _ in range(5):
        inputs = torch.randn(5, 2, 4, 4)
        descend(ours, optimiser, inputs)
        other.zero_grad()
        theirs(inputs).square().sum().backward()
        other.step()
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, its)


@pytest.mark.parametrize("options", [Sgd(), Adam(weight_decay=0.1)])
def test_a_restored_optimiser_goes_on_with_the_same_bits(options: Optimizer) -> None:
    batches = torch.randn(6, 5, 2, 4, 4)
    whole, halves = network(), network()
    first, second = Optimiser(options), Optimiser(options)
    for inputs in batches:
        descend(whole, first, inputs)
    for inputs in batches[:3]:
        descend(halves, second, inputs)
    saved, second = {name: tensor.clone() for name, tensor in second.tensors().items()}, Optimiser(options)
    second.restore({**saved, "weights/0.weight": torch.zeros(1)}, dict(halves.named_parameters()))
    for inputs in batches[3:]:
        descend(halves, second, inputs)
    for one, two in zip(whole.parameters(), halves.parameters(), strict=True):
        assert torch.equal(one, two)


def test_adam_counts_the_updates_of_each_tensor() -> None:
    """As of a supernet's paths: a weight's first update is a step of `lr`, whenever it comes."""
    weights = {name: nn.Parameter(torch.ones(2, 2)) for name in "ab"}
    optimiser = Optimiser(Adam(lr=0.1))
    for _ in range(3):
        optimiser.step({"a": weights["a"]}, {"a": torch.full((2, 2), 5.0)}, 0.1)
    optimiser.step({"b": weights["b"]}, {"b": torch.full((2, 2), 5.0)}, 0.1)
    torch.testing.assert_close(weights["b"].detach(), torch.full((2, 2), 0.9))
    assert optimiser.counts == {"a": 3, "b": 1}


def test_an_average_is_corrected_at_the_start() -> None:
    average, values = Average(0.9), [3.0, 5.0, -1.0, 2.0]
    for count, value in enumerate(values, 1):
        average.update({"w": torch.tensor([value])}, count)
        shares = [0.9 ** (count - 1 - place) for place in range(count)]
        wanted = sum(share * each for share, each in zip(shares, values, strict=False)) / sum(shares)
        assert float(average.tensors["w"]) == pytest.approx(wanted, rel=1e-5)


def test_schedule() -> None:
    cosine = Schedule("cosine", ramp=0.1)
    rates = [cosine.rate(1.0, index, 100) for index in range(100)]
    assert rates[0] < rates[5] < rates[10] == 1.0
    assert rates[99] < 0.001
    assert Schedule("constant").rate(0.3, 99, 100) == 0.3
