"""Samplers learn, hold caps where they can, do not repeat themselves, and go on from a saved state alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product

import pytest

from compiler.nets.streams import stream
from compiler.path_costs import Picks
from runtime.search.samplers.evolution import EvolutionSampler, crowding, dominates, fronts
from runtime.search.samplers.random_sampler import RandomSampler
from runtime.search.samplers.reinforce import ReinforceSampler
from runtime.search.samplers.sampler import Judged, Region, Sampler, shares

CANDIDATES = (3, 2, 4, 3, 3)
EVERYWHERE = Region(CANDIDATES)
SMALL = Region((2, 2, 2))
BEST = (2, 1, 3, 0, 1)
MAKERS: dict[str, Callable[[int], Sampler]] = {
    "random": lambda seed: RandomSampler(EVERYWHERE, seed),
    "evolution": lambda seed: EvolutionSampler(EVERYWHERE, seed, size=8),
    "reinforce": lambda seed: ReinforceSampler(EVERYWHERE, seed),
}


def score(picks: Picks) -> float:
    """How many picks are those of the best network; its neighbours differ in one."""
    return sum(pick == best for pick, best in zip(picks, BEST, strict=True)) / len(BEST)


def run(sampler: Sampler, count: int) -> list[Picks]:
    """The networks asked for in `count` turns."""
    asked = []
    for _ in range(count):
        asked.append(sampler.ask())
        sampler.tell(Judged(asked[-1], score(asked[-1])))
    return asked


@pytest.mark.parametrize("name", MAKERS)
def test_a_saved_sampler_goes_on_alike(name: str) -> None:
    undisturbed = run(MAKERS[name](3), 60)
    first = MAKERS[name](3)
    begun = run(first, 27)
    second = MAKERS[name](3)
    second.restore(json.loads(json.dumps(dict(first.state()))))
    assert begun + run(second, 33) == undisturbed
    assert run(MAKERS[name](4), 60) != undisturbed


@pytest.mark.parametrize("name", MAKERS)
def test_probabilities_are_of_each_decision(name: str) -> None:
    sampler = MAKERS[name](0)
    run(sampler, 40)
    rows = sampler.probabilities()
    assert [len(row) for row in rows] == list(CANDIDATES)
    assert all(sum(row) == pytest.approx(1) and min(row) >= 0 for row in rows)


@pytest.mark.parametrize("name", ["random", "evolution"])
def test_a_small_space_is_judged_whole_before_anything_twice(name: str) -> None:
    sampler = RandomSampler(SMALL, 0) if name == "random" else EvolutionSampler(SMALL, 0, size=4)
    asked = []
    for _ in range(8):
        asked.append(sampler.ask())
        sampler.tell(Judged(asked[-1], 0.0))
    assert set(asked) == set(product(range(2), repeat=3))
    assert sampler.ask() in asked


@pytest.mark.parametrize("name", ["evolution", "reinforce"])
def test_what_learns_comes_to_the_best(name: str) -> None:
    for seed in range(5):
        sampler = MAKERS[name](seed)
        assert BEST in run(sampler, 300)
        likely = tuple(max(range(len(row)), key=row.__getitem__) for row in sampler.probabilities())
        assert score(likely) >= 0.8


def test_constrained_domination() -> None:
    good, bad = Judged((0,), 0.9, (1.0,)), Judged((1,), 0.8, (1.0,))
    fast, over, worse = (
        Judged((2,), 0.8, (0.5,)),
        Judged((3,), 1.0, (0.1,), 0.2),
        Judged((4,), 1.0, (0.1,), 0.3),
    )
    assert dominates(good, bad)
    assert not dominates(bad, good)
    assert not dominates(good, good)
    assert not dominates(good, fast)
    assert not dominates(fast, good)
    assert dominates(bad, over)
    assert dominates(over, worse)
    assert fronts([worse, bad, good, over, fast]) == [[good, fast], [bad], [over], [worse]]


def test_crowding_is_that_of_the_paper() -> None:
    front = [Judged((index,), value, (value,)) for index, value in enumerate((0.0, 0.1, 0.6, 1.0))]
    distance = crowding(front)
    assert (distance[0,], distance[3,]) == (float("inf"), float("inf"))
    assert distance[1,] == pytest.approx(2 * 0.6)
    assert distance[2,] == pytest.approx(2 * 0.9)


def test_evolution_ends_under_its_cap_with_the_best_that_is() -> None:
    def excess(picks: Picks) -> float:
        return max(0.0, sum(picks) - 4) / 4

    reachable = max(score(picks) for picks in product(*map(range, CANDIDATES)) if excess(picks) == 0)
    for seed in range(5):
        sampler = EvolutionSampler(Region(CANDIDATES, excess), seed, size=8)
        for _ in range(120):
            picks = sampler.ask()
            sampler.tell(Judged(picks, score(picks), (), excess(picks)))
        best = sampler.front()[0]
        assert (best.score, best.excess) == (reachable, 0.0)


def test_a_front_has_the_networks_that_none_dominates() -> None:
    sampler = EvolutionSampler(EVERYWHERE, 0, size=8)
    told = []
    for _ in range(40):
        picks = sampler.ask()
        told.append(Judged(picks, score(picks), (float(sum(picks)),)))
        sampler.tell(told[-1])
    front = sampler.front()
    assert not any(dominates(one, other) for one in told for other in front)
    assert [each.score for each in front] == sorted((each.score for each in front), reverse=True)


def test_where_uniform_draws_are_over_the_cap_the_fallback_draws() -> None:
    region = Region((50, 50), lambda picks: float(sum(picks)), lambda generator: (0, 0))
    assert region.fresh(stream(0, "test")) == (0, 0)
    assert shares((2, 2), [(0, 1), (0, 0)]) == [[1.0, 0.0], [0.5, 0.5]]
    assert shares((2,), []) == [[0.5, 0.5]]


@pytest.mark.parametrize("name", ["random", "evolution", "reinforce"])
def test_what_cannot_be_judged_is_not_asked_for(name: str) -> None:
    there = [picks for picks in product(*map(range, CANDIDATES)) if sum(picks) % 7 == 0]
    region = Region(
        CANDIDATES, lambda picks: 0.0 if picks in there else float("inf"), lambda generator: there[0]
    )
    sampler: Sampler = {
        "random": lambda: RandomSampler(region, 0),
        "evolution": lambda: EvolutionSampler(region, 0, size=8),
        "reinforce": lambda: ReinforceSampler(region, 0),
    }[name]()
    assert set(run(sampler, 100)) <= set(there)
