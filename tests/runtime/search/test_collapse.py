"""A path that learns slowly is not lost to one that needs no learning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from compiler.frontend import space_of  # noqa: E402
from compiler.nets.supernet import Paths  # noqa: E402
from compiler.passes.flatten import flatten  # noqa: E402
from dsl.settings import Gradient, Sgd  # noqa: E402
from dsl.source import Source  # noqa: E402
from runtime.data.dataset import Dataset, Split  # noqa: E402
from runtime.data.load import DataSource, load  # noqa: E402
from runtime.evaluate.accuracy import Score  # noqa: E402
from runtime.search.evaluators.supernet import PathTrainer  # noqa: E402
from runtime.search.options import SearchOptions  # noqa: E402
from runtime.search.problem import Problem, problem_of  # noqa: E402
from runtime.search.search import search  # noqa: E402
from tests.small_spaces import tiny_space  # noqa: E402

pytestmark = pytest.mark.torch

SLOW = """
block slow(out) { conv(out, 3) -> sigmoid -> conv(out, 3) -> sigmoid -> conv(in.channels, 3) }
space collapse {
    input [1, 8, 8]
    output [10]
    conv(8, 3, stride = 2) -> bn -> relu -> choose { conv: slow(16) | skip: identity } -> global_pool -> linear(10)
}
"""
"""Alone the network with `slow` reaches 0.96 on the digits, and that with `skip` 0.73; untrained, `slow` destroys what
comes in, since three layers of sigmoids shrink it."""


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load(DataSource("digits"), seed=1)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return problem_of(flatten(space_of(Source("collapse.space", SLOW))), {})


OPTIONS = SearchOptions(
    Gradient(every=1), warmup=20, epochs=20, batch=64, optimiser=Sgd(lr=0.2), recalibration_batches=4
)


def test_the_naive_form_collapses_and_ours_does_not(
    digits: Dataset, problem: Problem, tmp_path: Path
) -> None:
    naive = replace(OPTIONS, strategy=Gradient(every=1, delay=0, explore=0.0), warmup=0, epochs=40)
    collapsed = search(problem, digits, naive, tmp_path / "naive")
    found = search(problem, digits, OPTIONS, tmp_path / "ours")
    assert collapsed.choices == {"path": "skip"}
    assert found.choices == {"path": "conv"}
    assert collapsed.best.score < 0.8 < 0.9 < found.best.score


def test_where_random_networks_are_better_one_of_them_is_returned(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(self: PathTrainer, paths: Paths, split: Split | None = None) -> Score:
        return Score(0.2 if tuple(paths) == settled else 0.9, 1.0, 300)

    options = SearchOptions(Gradient(every=2), epochs=1, warmup=1, batch=64, seed=1)
    settled = search(problem_of(tiny_space(), {}), digits, options, tmp_path / "first").picks
    monkeypatch.setattr(PathTrainer, "judge", judge)
    found = search(problem_of(tiny_space(), {}), digits, options, tmp_path / "second")
    assert found.picks != settled
    assert found.best.score == 0.9
