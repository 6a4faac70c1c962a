"""The architecture step: who is compared, and what stays as it was."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from compiler.nets.architecture_parameters import draw_pairs  # noqa: E402
from compiler.nets.streams import stream  # noqa: E402
from compiler.nets.supernet import build_supernet  # noqa: E402
from compiler.path_decisions import LatencyCosts  # noqa: E402
from dsl.settings import CapSetting, Gradient  # noqa: E402
from runtime.data.dataset import Dataset  # noqa: E402
from runtime.data.load import DataSource, load  # noqa: E402
from runtime.search.evaluators.supernet import PathTrainer  # noqa: E402
from runtime.search.options import SearchOptions  # noqa: E402
from runtime.search.plan import Measured, make_plan  # noqa: E402
from runtime.search.problem import problem_of  # noqa: E402
from runtime.search.strategies.gradient import GradientSearch  # noqa: E402
from tests.small_spaces import tiny_space  # noqa: E402
from tests.supernets import with_whole_branches  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load(DataSource("digits"))


def stage(digits: Dataset, update: str) -> GradientSearch:
    settings = Gradient(update, lr=0.3)  # type: ignore[arg-type]
    options = SearchOptions(settings, batch=32)
    costs = {
        f"layer{i + 1}.path": row for i, row in enumerate(((1.0, 2.0, 0.0), (1.0, 2.0), (1.0, 3.0, 0.0)))
    }
    cap = CapSetting("latency", "<=", 5.0, None)
    problem = problem_of(tiny_space(), {"host": LatencyCosts(0.0, costs)}, [cap], "host")
    supernet = with_whole_branches(build_supernet(tiny_space()))
    made = GradientSearch(problem, PathTrainer(supernet, digits, options), settings)
    made.follow(make_plan(options, settings, 10).describe())
    return made


def test_in_the_two_path_form_the_others_keep_their_probabilities(digits: Dataset) -> None:
    search = stage(digits, "two_path")
    before = [part.detach() for part in search.alphas.probabilities()]
    compared, gradients, _, _ = search.gate_gradients(0)
    shares = search.alphas.shares(compared)
    (gradient,) = torch.autograd.grad(
        sum((s * g).sum() for s, g in zip(shares, gradients, strict=True)), search.alphas.alpha
    )
    search.update(gradient, compared)
    for old, new, pair in zip(before, search.alphas.probabilities(), compared, strict=True):
        others = [index for index in range(len(old)) if index not in pair]
        torch.testing.assert_close(new.detach()[others], old[others], rtol=1e-12, atol=0)
        assert not torch.allclose(new.detach()[list(pair)], old[list(pair)])


def test_pairs_are_drawn_without_replacement_and_one_of_them_is_active() -> None:
    probabilities = [torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)]
    counts = dict.fromkeys(itertools.combinations(range(3), 2), 0)
    active = [0, 0, 0]
    for index in range(3000):
        (pair,), (pick,) = draw_pairs(probabilities, stream(0, "pairs", index))
        assert pick in pair
        counts[pair] += 1
        active[pick] += 1
    p = [0.5, 0.3, 0.2]
    for (a, b), count in counts.items():
        expected = p[a] * p[b] / (1 - p[a]) + p[b] * p[a] / (1 - p[b])
        assert count / 3000 == pytest.approx(expected, abs=0.03)
    assert draw_pairs([torch.ones(1, dtype=torch.float64)], stream(0, "one"))[1] == (0,)


def test_both_forms_agree_on_the_pair_they_share(digits: Dataset) -> None:
    search = stage(digits, "two_path")
    supernet, picks = search.trainer.supernet, (0, 1, 2)
    images, labels = search.trainer.validation[0]
    found = []
    for compared in ([(0, 1, 2), (0, 1), (0, 1, 2)], [(0, 2), (0, 1), (1, 2)]):
        gates = [
            torch.tensor([float(i == pick) for i in chosen]).requires_grad_()
            for chosen, pick in zip(compared, picks, strict=True)
        ]
        loss = torch.nn.functional.cross_entropy(
            supernet.gated_logits(images, picks, compared, gates), labels
        )
        found.append(torch.autograd.grad(loss, gates))
    (all_first, _, all_last), (pair_first, _, pair_last) = found
    torch.testing.assert_close(all_first[[0, 2]], pair_first)
    torch.testing.assert_close(all_last[[1, 2]], pair_last)


def test_the_plan_keeps_its_proportions_under_a_budget() -> None:
    options, gates = SearchOptions(epochs=120, warmup=40), Gradient(every=5)
    whole = make_plan(options, gates, 100)
    assert (whole.steps, whole.warmup, whole.delay) == (16_000, 4_000, 4_100)
    assert whole.architecture_steps == 2380
    assert whole.architecture_step(4_103) is None
    assert whole.architecture_step(4_104) == 0
    assert whole.architecture_step(4_109) == 1
    short = make_plan(replace(options, budget_s=91.0), gates, 100, Measured(0.1, 0.4))
    assert short.warmup == pytest.approx(short.steps / 4, abs=1)
    assert short.steps * 0.1 + short.architecture_steps * 0.4 < 91
    assert short.alpha_lr > whole.alpha_lr
