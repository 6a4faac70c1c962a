"""A network that a search returns holds every cap exactly, by the tables; caps that cannot be held are refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import product
from pathlib import Path
from random import Random as Dice

import pytest

pytest.importorskip("torch")

from compiler.caps import Cap, Caps
from compiler.path_costs import Picks
from compiler.path_decisions import LatencyCosts
from dsl.settings import CapSetting, Evolution, Random, Reinforce, Strategy
from runtime.search.evaluators.function import FunctionOfChoices
from runtime.search.evaluators.table import Listed, TableOfScores
from runtime.search.options import InfeasibleCap, SearchOptions, SearchResult
from runtime.search.problem import Problem, problem_of
from runtime.search.search import search
from tests.small_spaces import stacked_space

pytestmark = pytest.mark.torch

CASES = 200
STRATEGIES: tuple[Strategy, ...] = (Random(12), Evolution(4, 3), Reinforce(samples=4, networks=8))
WIDTHS = ([(8, 1), (12, 2)], [(8, 1), (12, 2), (12, 1)], [(12, 2), (12, 1), (16, 2)])


@cache
def bare(number: int) -> Problem:
    """A space without caps, and prices of three candidates a layer and more that are powers of a third."""
    flat = stacked_space(WIDTHS[number], (1, 8, 8), stem=(8, 1), head=16, kernels=(3, 5), expands=(1, 2))
    decisions = problem_of(flat, {}).decisions
    dice = Dice(number)
    rows = {each.name: tuple(dice.random() / 3 for _ in each.labels) for each in decisions}
    floor = [CapSetting("peak_memory", "<=", math.inf, None)]
    return problem_of(flat, {"host": LatencyCosts(0.1, rows)}, floor, "host")


@cache
def values(number: int) -> dict[str, list[float]]:
    """Every metric of every network of a space."""
    problem = bare(number)
    everyone = networks(problem)
    return {name: [metric.total(each) for each in everyone] for name, metric in problem.metrics.items()}


def networks(problem: Problem) -> list[Picks]:
    return list(product(*map(range, problem.candidates)))


def chosen_caps(dice: Dice, number: int) -> list[CapSetting]:
    """One to three caps, at a network's own value, between two, or beyond all."""
    caps = []
    for _ in range(dice.randint(1, 3)):
        metric = dice.choice(["latency", "latency", "macs", "params", "peak_memory"])
        relation = "<=" if metric == "peak_memory" else dice.choice(["<=", "<=", ">="])
        every = sorted(set(values(number)["latency on host" if metric == "latency" else metric]))
        at = dice.choice(every) if dice.random() < 0.5 else dice.uniform(every[0], every[-1])
        at *= dice.choice([1.0, 1.0, 1.0, 1.0, 0.5 if relation == "<=" else 2.0])
        caps.append(CapSetting(metric, relation, at, None))  # type: ignore[arg-type]
    return caps


def capped(number: int, caps: Sequence[CapSetting]) -> Problem:
    """The space under caps; what peaks are known already stays known."""
    metrics = bare(number).metrics
    units = {"latency": "latency on host"}
    names = [units.get(cap.metric, cap.metric) for cap in caps]
    made = [Cap(name, metrics[name], cap.limit, cap.relation) for name, cap in zip(names, caps, strict=True)]
    return Problem(
        bare(number).flat,
        bare(number).decisions,
        metrics,
        Caps(bare(number).candidates, tuple(dict.fromkeys(made))),
    )


def holding(number: int, problem: Problem) -> list[Picks]:
    """The networks that hold all caps, by their totals and nothing else."""
    held = []
    for at, picks in enumerate(networks(problem)):
        totals = [(cap, values(number)[cap.name][at]) for cap in problem.caps.caps]
        if all(value <= cap.limit if cap.relation == "<=" else value >= cap.limit for cap, value in totals):
            held.append(picks)
    return held


def judged(problem: Problem, kind: int, dice: Dice) -> FunctionOfChoices | TableOfScores:
    """Fabricated scores: a function, a table of the whole space, a table of half of it."""
    if kind == 0:
        return FunctionOfChoices(lambda choices: dice.random(), problem.decisions, "fabricated")
    everyone = networks(problem)
    some = everyone if kind == 1 else dice.sample(everyone, len(everyone) // 2)
    return TableOfScores({picks: dice.random() for picks in some}, Listed({}), "fabricated")


def check_result(result: SearchResult, problem: Problem, held: Sequence[Picks]) -> None:
    assert result.picks in held
    assert result.best.feasible
    assert dict(result.best.costs) == problem.costs(result.picks)
    for each in result.front:
        assert each.picks in held


@pytest.mark.parametrize("block", range(8))
def test_the_network_returned_holds_all_caps(block: int, tmp_path: Path) -> None:
    refused = 0
    for case in range(block, CASES, 8):
        dice = Dice(case)
        number = case % len(WIDTHS)
        problem = capped(number, chosen_caps(dice, number))
        judge = judged(problem, dice.randrange(3), dice)
        there = networks(problem) if judge.known() is None else set(judge.known() or ())
        held = [picks for picks in holding(number, problem) if picks in there]
        options = SearchOptions(dice.choice(STRATEGIES), front=dice.choice([0, 3]), seed=case)
        if held:
            result = search(problem, judge, options, tmp_path / str(case))
            check_result(result, problem, held)
            continue
        refused += 1
        with pytest.raises(InfeasibleCap) as caught:
            search(problem, judge, options, tmp_path / str(case))
        check_refusal(caught.value, number, problem, [each for each in networks(problem) if each in there])
    assert 0 < refused < CASES / 12


def check_refusal(refusal: InfeasibleCap, number: int, problem: Problem, there: Sequence[Picks]) -> None:
    """What is said to be reachable is the nearest that there is, among those that hold the other caps if so said."""
    cap, others = refusal.cap, [cap for cap in problem.caps.caps if cap != refusal.cap]
    among = [picks for picks in there if not refusal.others or all(other.holds(picks) for other in others)]
    if not among:
        assert refusal.reachable is None
        return
    nearest = (min if cap.relation == "<=" else max)(cap.metric.total(picks) for picks in among)
    assert refusal.reachable == nearest
    assert f"{nearest:.6g}" in f"{refusal}"


@pytest.mark.parametrize("block", range(4))
def test_the_best_by_log_probabilities_holds_all_caps_and_is_the_best(block: int) -> None:
    """What a gated strategy returns: the most probable network that holds the caps."""
    for case in range(block, CASES, 4):
        dice = Dice(1000 + case)
        number = case % len(WIDTHS)
        problem = capped(number, chosen_caps(dice, number))
        held = holding(number, problem)
        scores = []
        for size in problem.candidates:
            weights = [dice.random() ** 3 + 1e-9 for _ in range(size)]
            scores.append([math.log(weight / sum(weights)) for weight in weights])
        picks = problem.caps.best(scores)
        if not held:
            assert picks is None
            continue
        assert picks in held

        def likelihood(each: Picks) -> float:
            return sum(row[pick] for row, pick in zip(scores, each, strict=True))  # noqa: B023

        assert likelihood(picks) == pytest.approx(max(map(likelihood, held)), abs=1e-9)
