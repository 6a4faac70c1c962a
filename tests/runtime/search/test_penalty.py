"""The penalty brings the expected latency under the cap, against a loss that pulls the other way."""

from __future__ import annotations

from dataclasses import asdict

import pytest

torch = pytest.importorskip("torch")

from compiler.nets.architecture_parameters import (  # noqa: E402
    ArchitectureParameters,
    expectation,
    gate_objective,
)
from compiler.nets.streams import stream  # noqa: E402
from compiler.path_decisions import LatencyCosts  # noqa: E402
from dsl.settings import Adaptive, CapSetting, LatencyTerm, Linear, Log  # noqa: E402
from runtime.search.options import SearchProblem  # noqa: E402
from runtime.search.penalty import CostTerm, Penalty, check_penalty  # noqa: E402
from runtime.search.problem import problem_of  # noqa: E402
from tests.small_spaces import tiny_space  # noqa: E402

pytestmark = pytest.mark.torch

COSTS = [[0.1, 0.2, 0.4, 0.0]] * 8


def expected_after(cap_ms: float | None, steps: int, pull: float) -> float:
    """Alpha pulled by noisy gradients towards slow candidates, as a loss would, by Adam's step of fixed size."""
    alphas = ArchitectureParameters([4] * 8, seed=0)
    penalty, rate, squares = (
        Penalty(steps),
        8.0 / steps,
        torch.zeros(32, dtype=torch.float64),
    )
    late = []
    for step in range(steps):
        noise = torch.randn(32, generator=stream(0, "noise", step), dtype=torch.float64)
        wanted = [-pull * torch.tensor(row, dtype=torch.float64) for row in COSTS]
        gradients = [part + pull * 0.3 * each for part, each in zip(wanted, noise.split(4), strict=True)]
        shares = alphas.probabilities()
        expected = expectation(0.0, COSTS, shares)
        now = float(expected.detach())
        objective = gate_objective(shares, gradients)
        if cap_ms is not None:
            objective = objective + penalty.weight((now - cap_ms) / cap_ms) / cap_ms * expected
            penalty.update((now - cap_ms) / cap_ms)
        (gradient,) = torch.autograd.grad(objective, alphas.alpha)
        squares = 0.999 * squares + 0.001 * gradient**2
        with torch.no_grad():
            alphas.alpha -= rate * gradient / ((squares / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
        late.append(now)
    return sum(late[-steps // 10 :]) / (steps // 10)


@pytest.mark.parametrize("pull", [0.1, 1.0])
@pytest.mark.parametrize("steps", [60, 150, 1000])
def test_the_cap_holds_whatever_the_loss_weighs(steps: int, pull: float) -> None:
    assert expected_after(None, steps, pull) > 2.0
    assert 0.9 * 0.8 < expected_after(0.8, steps, pull) < 1.05 * 0.8


def test_a_cap_that_costs_nothing_does_nothing() -> None:
    penalty = Penalty(10)
    penalty.update(-0.7)
    assert penalty.weight(-0.7) == 0.0


def test_the_cap_closes_in_and_its_state_comes_back() -> None:
    penalty = Penalty(100)
    for _ in range(10):
        assert penalty.weight(1.0) < 10.0
        penalty.update(1.0)
    assert Penalty(**asdict(penalty)) == penalty
    for _ in range(40):
        penalty.update(1.0)
    assert penalty.weight(1.0) > 10.0


def term(kind: LatencyTerm, *caps: CapSetting) -> CostTerm:
    rows = {
        f"layer{n}.path": costs for n, costs in enumerate(((4.0, 8.0, 2.0), (1.0, 2.0), (1.0, 2.0, 1.0)), 1)
    }
    return CostTerm(problem_of(tiny_space(), {"host": LatencyCosts(1.0, rows)}, caps, "host"), kind, 10)


def test_the_fixed_forms_have_the_gradients_of_their_formulas() -> None:
    mean, loss = torch.tensor(8.0, dtype=torch.float64, requires_grad=True), 1.7
    logs = loss * 0.2 * (mean.log() / torch.tensor(80.0).double().log()) ** 0.3
    task, weights = term(Log(0.08)).weights({"latency on host": 8.0}, loss)
    assert task * loss == pytest.approx(float(logs.detach()))
    assert weights == pytest.approx({"latency on host": float(torch.autograd.grad(logs, mean)[0])})
    task, weights = term(Linear(0.08, weight=0.5)).weights({"latency on host": 8.0}, loss)
    assert (task, weights) == (1.0, {"latency on host": pytest.approx(0.5 / 80)})


def test_the_log_form_is_refused_where_it_means_nothing() -> None:
    rows = {"layer1.path": (0.1, 0.2, 0.0), "layer2.path": (0.1, 0.2), "layer3.path": (0.1, 0.3, 0.0)}
    small = problem_of(tiny_space(), {"host": LatencyCosts(0.5, rows)})
    with pytest.raises(SearchProblem, match=r"above 1 ms, and the least here is 0.6 ms"):
        check_penalty(small, Log(0.08))
    with pytest.raises(SearchProblem, match=r"a reference above 1 ms, and it is 1 ms"):
        check_penalty(term(Adaptive()).problem, Log(0.001))
    with pytest.raises(SearchProblem, match="needs a latency table"):
        check_penalty(problem_of(tiny_space(), {}), Linear(0.08))
    check_penalty(term(Adaptive()).problem, Log(0.08))


def test_each_cap_has_its_price_and_its_direction() -> None:
    caps = (CapSetting("latency", "<=", 8.0, None), CapSetting("macs", ">=", 100.0, None))
    both = term(Adaptive(), *caps)
    for _ in range(8):
        both.update({"latency on host": 12.0, "macs": 50.0, "params": 0.0})
    _, weights = both.weights({"latency on host": 12.0, "macs": 50.0, "params": 0.0}, 1.0)
    assert weights["latency on host"] > 0 > weights["macs"]
    assert set(both.prices) == {"latency <= 8 ms on host", "macs >= 100"}
    again = term(Adaptive(), *caps)
    again.restore(both.state())
    assert again.prices == both.prices
