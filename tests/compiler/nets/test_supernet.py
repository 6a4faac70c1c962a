"""One path runs and is kept; the gates' gradient is the binarised one."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from compiler.nets.architecture_parameters import (  # noqa: E402
    ArchitectureParameters,
    draw_uniform,
    expectation,
    gate_objective,
    one_hot_gates,
)
from compiler.nets.modules import Run  # noqa: E402
from compiler.nets.network import build_network  # noqa: E402
from compiler.nets.streams import stream  # noqa: E402
from compiler.nets.supernet import Supernet, build_supernet  # noqa: E402
from tests.small_spaces import derived, tiny_space  # noqa: E402
from tests.supernets import with_whole_branches  # noqa: E402

pytestmark = pytest.mark.torch

IMAGES = torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.arange(16) % 10


def double_supernet() -> Supernet:
    return with_whole_branches(build_supernet(tiny_space(), seed=1)).double()


def all_paths_kept(supernet: Supernet, gates: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """The same pass by plain autograd: every candidate runs and is weighted by its gate."""
    values = {"in": IMAGES}
    modules = {step.name: step.module for step in supernet.steps}
    position = {decision.name: index for index, decision in enumerate(supernet.decisions)}
    for node in tiny_space().graph.nodes[1:]:
        operands = tuple(values[name] for name in node.inputs)
        module = modules[node.name]
        if node.name in position:
            outputs = [path.compute(operands, Run("observe")) for path in module.paths]
            gate = gates[position[node.name]]
            values[node.name] = sum(gate[i] * output for i, output in enumerate(outputs))
        else:
            values[node.name] = module([operand.clone() for operand in operands], Run("observe"))
    return values[tiny_space().graph.output]


def double_gates(candidates: tuple[int, ...], picks: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
    gates = one_hot_gates([range(size) for size in candidates], picks)
    return tuple(gate.detach().double().requires_grad_() for gate in gates)


def test_mean_binarised_gradient_is_the_enumerated_estimator() -> None:
    supernet = double_supernet()
    candidates = supernet.candidates
    alphas = ArchitectureParameters(candidates, seed=5)
    probabilities = [part.detach() for part in alphas.probabilities()]
    ours, enumerated = torch.zeros_like(alphas.alpha), torch.zeros_like(alphas.alpha)
    for picks in itertools.product(*map(range, candidates)):
        weight = float(torch.stack([part[i] for part, i in zip(probabilities, picks, strict=True)]).prod())
        for form, total in (("recompute", ours), ("all paths", enumerated)):
            gates = double_gates(candidates, picks)
            logits = (
                supernet.gated_logits(IMAGES, picks, [range(n) for n in candidates], gates)
                if form == "recompute"
                else all_paths_kept(supernet, gates)
            )
            gradients = torch.autograd.grad(F.cross_entropy(logits, LABELS), gates)
            objective = gate_objective(alphas.probabilities(), gradients)
            total += weight * torch.autograd.grad(objective, alphas.alpha)[0]
    torch.testing.assert_close(ours, enumerated, rtol=1e-9, atol=1e-12)
    assert ours.abs().max() > 1e-4


def test_exact_where_the_loss_is_linear_in_the_gates() -> None:
    alphas = ArchitectureParameters([3, 2], seed=2)
    costs = ([1.0, 5.0, 2.0], [0.5, 4.0])
    exact = torch.autograd.grad(expectation(1.0, costs, alphas.probabilities()), alphas.alpha)[0]
    gradients = [torch.tensor(row, dtype=torch.float64) for row in costs]
    ours = torch.autograd.grad(gate_objective(alphas.probabilities(), gradients), alphas.alpha)[0]
    torch.testing.assert_close(ours, exact)


def test_architecture_step_leaves_weights_and_statistics() -> None:
    supernet = build_supernet(tiny_space())
    before = {key: tensor.clone() for key, tensor in supernet.state_dict().items()}
    compared = [(0, 1), (0, 1), (0, 2)]
    gates = one_hot_gates(compared, (0, 1, 2))
    loss = F.cross_entropy(supernet.gated_logits(IMAGES.float(), (0, 1, 2), compared, gates), LABELS)
    gradients = torch.autograd.grad(loss, gates)
    assert all(torch.equal(before[key], tensor) for key, tensor in supernet.state_dict().items())
    assert all(parameter.grad is None for parameter in supernet.parameters())
    assert all(gradient.shape == gate.shape for gradient, gate in zip(gradients, gates, strict=True))


def test_a_weight_step_touches_the_drawn_path_only() -> None:
    supernet = build_supernet(tiny_space())
    F.cross_entropy(supernet.logits(IMAGES.float(), (1, 0, 2)), LABELS).backward()
    touched = {key for key, parameter in supernet.named_parameters() if parameter.grad is not None}
    assert touched == set(supernet.path_parameters((1, 0, 2)))
    assert "layer1.path.k5e2.layer1.mbconv.conv1.weight" in touched


@pytest.mark.parametrize("picks", [(0, 0, 0), (1, 1, 1), (0, 1, 2)])
def test_a_path_is_its_derived_network(picks: tuple[int, ...]) -> None:
    supernet = build_supernet(tiny_space())
    network = build_network(derived(tiny_space(), picks))
    network.load_state_dict(supernet.network_tensors(picks))
    for mode in ("train", "evaluate"):
        network.train(mode == "train")
        torch.testing.assert_close(network(IMAGES.float()), supernet.logits(IMAGES.float(), picks, mode))


def test_latency_gradient_reaches_a_decision_whose_drawn_path_is_the_skip() -> None:
    alphas = ArchitectureParameters([2, 2, 3], seed=0)
    costs = ([1.0, 2.0], [1.0, 3.0], [2.0, 4.0, 0.0])
    gradient = torch.autograd.grad(expectation(0.5, costs, alphas.probabilities()), alphas.alpha)[0]
    assert gradient[-1] < 0 < gradient[-2]


def test_draws_follow_the_probabilities() -> None:
    alphas = ArchitectureParameters([3], seed=0)
    with torch.no_grad():
        alphas.alpha.copy_(torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64).log())
    drawn = torch.tensor([alphas.draw(stream(0, "draw", index))[0] for index in range(2000)])
    shares = torch.bincount(drawn, minlength=3) / 2000
    assert torch.allclose(shares, torch.tensor([0.6, 0.3, 0.1]), atol=0.05)
    assert {draw_uniform([2, 2], stream(1, "uniform", index)) for index in range(50)} == {
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    }
