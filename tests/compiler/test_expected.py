"""The most probable architecture under a cap is found exactly, and never exceeds it."""

from __future__ import annotations

import itertools
import random

import pytest

from compiler.expected import (
    LatencyCosts,
    costs_of,
    fastest,
    most_probable_under,
    path_decisions,
    total_ms,
)
from compiler.ir.graph import Candidate, SpaceGraph
from tests.small_spaces import Wiring, mbconv_candidate, skip_candidate, tiny_space


def random_case(generator: random.Random, decisions: int) -> tuple[list[list[float]], list[list[float]]]:
    sizes = [generator.randint(1, 7) for _ in range(decisions)]
    costs = [[generator.choice([0.0, generator.uniform(0, 2)]) for _ in range(size)] for size in sizes]
    scores = [[generator.gauss(0, 2) for _ in range(size)] for size in sizes]
    return costs, scores


@pytest.mark.parametrize("seed", range(100))
def test_small_cases_agree_with_enumeration(seed: int) -> None:
    generator = random.Random(seed)
    costs, scores = random_case(generator, generator.randint(1, 5))
    cap = generator.uniform(0, 1.3) * sum(map(max, costs)) + 0.5
    feasible = [
        picks
        for picks in itertools.product(*[range(len(row)) for row in costs])
        if total_ms(0.5, costs, picks) <= cap
    ]
    found = most_probable_under(cap, 0.5, costs, scores)
    if not feasible:
        assert found is None
        return
    assert found in feasible
    best = max(sum(row[i] for row, i in zip(scores, picks, strict=True)) for picks in feasible)
    assert sum(row[i] for row, i in zip(scores, found, strict=True)) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("seed", range(200))
def test_a_cap_is_never_exceeded(seed: int) -> None:
    generator = random.Random(1000 + seed)
    costs, scores = random_case(generator, 21)
    least = total_ms(1.0, costs, fastest(costs))
    cap = least * generator.choice([0.999, 1.0, 1.01, 1.2, 2.0])
    found = most_probable_under(cap, 1.0, costs, scores)
    assert (found is None) == (cap < least)
    assert found is None or total_ms(1.0, costs, found) <= cap


def test_mixed_nodes_of_equal_choices_are_one_decision() -> None:
    wiring = Wiring()
    value = wiring.enter((8, 4, 4))
    for name in ("a", "b"):
        candidates = [mbconv_candidate("tied", (8, 4, 4), 8, 3, 2, 1), skip_candidate("tied", (8, 4, 4))]
        value = wiring.mixed(name, value, candidates)
    (decision,) = path_decisions(wiring.build(value))
    assert decision.members == ("a", "b")
    assert costs_of([decision], LatencyCosts(0.0, {"a": (1.0, 0.0), "b": (2.0, 0.5)})) == ((3.0, 0.5),)


def test_decisions_shared_in_part_are_refused() -> None:
    wiring = Wiring()
    first = wiring.mixed("a", wiring.enter((8, 4, 4)), [mbconv_candidate("x", (8, 4, 4), 8, 3, 2, 1)])
    other = [Candidate("k", mbconv_candidate("x", (8, 4, 4), 8, 3, 2, 1).graph, (("x.kernel", 3),))]
    graph = wiring.build(wiring.mixed("b", first, other))
    with pytest.raises(ValueError, match=r"`x\.kernel`"):
        path_decisions(SpaceGraph("s", graph).graph)


def test_missing_costs_are_named() -> None:
    with pytest.raises(ValueError, match=r"0 latencies for the 3 candidates of `layer1\.path`"):
        costs_of(path_decisions(tiny_space().graph), LatencyCosts(0.0, {}))
