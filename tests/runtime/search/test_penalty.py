"""The penalty brings the expected latency under the cap, against a loss that pulls the other way."""

from __future__ import annotations

from dataclasses import asdict

import pytest

torch = pytest.importorskip("torch")

from compiler.nets.architecture_parameters import (  # noqa: E402
    ArchitectureParameters,
    expected_latency,
    gate_objective,
)
from compiler.nets.streams import stream  # noqa: E402
from runtime.search.penalty import Penalty  # noqa: E402

pytestmark = pytest.mark.torch

COSTS = [[0.1, 0.2, 0.4, 0.0]] * 8


def expected_after(cap_ms: float | None, steps: int, pull: float) -> float:
    """Alpha pulled by noisy gradients towards slow candidates, as a loss would, by Adam's step of fixed size."""
    alphas = ArchitectureParameters([4] * 8, seed=0)
    penalty, rate, squares = (
        Penalty(cap_ms, steps),
        8.0 / steps,
        torch.zeros(32, dtype=torch.float64),
    )
    late = []
    for step in range(steps):
        noise = torch.randn(32, generator=stream(0, "noise", step), dtype=torch.float64)
        wanted = [-pull * torch.tensor(row, dtype=torch.float64) for row in COSTS]
        gradients = [part + pull * 0.3 * each for part, each in zip(wanted, noise.split(4), strict=True)]
        shares = alphas.probabilities()
        expected = expected_latency(0.0, COSTS, shares)
        now = float(expected.detach())
        objective = gate_objective(shares, gradients) + penalty.weight(now) * expected
        (gradient,) = torch.autograd.grad(objective, alphas.alpha)
        squares = 0.999 * squares + 0.001 * gradient**2
        with torch.no_grad():
            alphas.alpha -= rate * gradient / ((squares / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
        penalty.update(now)
        late.append(now)
    return sum(late[-steps // 10 :]) / (steps // 10)


@pytest.mark.parametrize("pull", [0.1, 1.0])
@pytest.mark.parametrize("steps", [60, 150, 1000])
def test_the_cap_holds_whatever_the_loss_weighs(steps: int, pull: float) -> None:
    assert expected_after(None, steps, pull) > 2.0
    assert 0.9 * 0.8 < expected_after(0.8, steps, pull) < 1.05 * 0.8


def test_a_cap_that_costs_nothing_does_nothing() -> None:
    penalty = Penalty(10.0, 10)
    penalty.update(3.0)
    assert penalty.weight(3.0) == 0.0
    assert Penalty(None, 10).weight(100.0) == 0.0


def test_the_cap_closes_in_and_its_state_comes_back() -> None:
    penalty = Penalty(1.0, 100)
    for _ in range(10):
        assert penalty.weight(2.0) < 10.0
        penalty.update(2.0)
    assert Penalty(**asdict(penalty)) == penalty
    for _ in range(40):
        penalty.update(2.0)
    assert penalty.weight(2.0) > 10.0
