"""Paths that weights are trained along hold the caps, where they can; rewards pay for nothing below a cap."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

torch = pytest.importorskip("torch")

from compiler.nets.streams import stream  # noqa: E402
from compiler.nets.supernet import build_supernet  # noqa: E402
from compiler.path_decisions import LatencyCosts  # noqa: E402
from dsl.settings import CapSetting, Reinforce  # noqa: E402
from runtime.data.load import DataSource, load  # noqa: E402
from runtime.evaluate.accuracy import Score  # noqa: E402
from runtime.search.evaluators.supernet import PathTrainer  # noqa: E402
from runtime.search.options import SearchOptions  # noqa: E402
from runtime.search.problem import Problem, problem_of  # noqa: E402
from runtime.search.strategies.reinforce import ReinforceSearch  # noqa: E402
from tests.small_spaces import tiny_space  # noqa: E402

pytestmark = pytest.mark.torch

ROWS = {"layer1.path": (1.0, 2.0, 0.0), "layer2.path": (1.0, 2.0), "layer3.path": (1.0, 3.0, 0.0)}


def problem(*caps: CapSetting) -> Problem:
    return problem_of(tiny_space(), {"host": LatencyCosts(0.0, ROWS)}, caps, "host")


def paths(under: Problem, count: int = 2000) -> Counter[tuple[int, ...]]:
    return Counter(under.random_path(stream(0, "path", number)) for number in range(count))


def test_random_paths_are_uniform_among_those_that_hold_the_caps() -> None:
    under = problem(CapSetting("latency", "<=", 3.0, None))
    held = [picks for picks in product(range(3), range(2), range(3)) if not under.caps.broken(picks)]
    found = paths(under)
    missed = (1 - len(held) / 18) ** 10
    assert 3 < len(held) < 18
    for picks in held:
        assert found[picks] / 2000 == pytest.approx((1 - missed) / len(held), abs=0.03)
    assert sum(found[picks] for picks in held) / 2000 == pytest.approx(1 - missed, abs=0.01)
    assert len(paths(problem())) == 18


def test_where_hardly_any_path_holds_them_the_nearest_draw_is_taken() -> None:
    under = problem(CapSetting("latency", "<=", 0.5, None))
    latencies = [under.metrics["latency on host"].total(picks) for picks in paths(under).elements()]
    # The least that any has is 1, of one network of 18; ten draws have it by 1 - (17 / 18) ** 10.
    assert min(latencies) == 1.0
    assert latencies.count(1.0) / 2000 == pytest.approx(1 - (17 / 18) ** 10, abs=0.04)


def test_random_paths_are_of_candidates_that_are_left() -> None:
    under = problem(CapSetting("latency", "<=", 3.0, None))
    alive = [(0, 2), (1,), (2,)]
    found = {under.random_path(stream(0, "path", number), alive) for number in range(50)}
    assert found == {(0, 1, 2), (2, 1, 2)}


def test_a_reward_is_less_over_the_cap_and_no_more_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PathTrainer, "glance", lambda self, picks, number: Score(0.5, 1.0, 64))
    settings = Reinforce(samples=60, exponent=0.5)
    options = SearchOptions(settings, batch=32)
    under = problem(CapSetting("latency", "<=", 2.0, None), CapSetting("latency", ">=", 0.5, None))
    trainer = PathTrainer(build_supernet(tiny_space()), load(DataSource("digits")), options)
    drawn, rewards, _, _ = ReinforceSearch(under, trainer, settings)._rewards(0)
    for picks, reward in zip(drawn, rewards, strict=True):
        latency = under.metrics["latency on host"].total(picks)
        assert reward == pytest.approx(0.5 * min(1.0, 2.0 / latency) ** 0.5 if latency else 0.5)
    assert len({round(reward, 6) for reward in rewards}) > 2
