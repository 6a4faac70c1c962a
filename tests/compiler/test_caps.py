"""The best network under caps is found exactly, and never breaks one."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest

from compiler.caps import Cap, Caps
from compiler.cost import cost
from compiler.derive import derive
from compiler.frontend import space_of
from compiler.passes.flatten import flatten
from compiler.path_costs import PathCosts, Picks, size_costs
from compiler.path_decisions import choices_of, path_decisions
from compiler.peak_memory import PeakMemory
from dsl.source import Source

Rows = Sequence[Sequence[float]]


def random_costs(generator: random.Random, sizes: Sequence[int]) -> PathCosts:
    return PathCosts(
        0.5,
        tuple(tuple(generator.choice([0.0, generator.uniform(0, 2)]) for _ in range(size)) for size in sizes),
    )


def random_scores(generator: random.Random, sizes: Sequence[int]) -> list[list[float]]:
    return [[generator.gauss(0, 2) for _ in range(size)] for size in sizes]


def total(scores: Rows, picks: Picks) -> float:
    return sum(row[pick] for row, pick in zip(scores, picks, strict=True))


@pytest.mark.parametrize("seed", range(150))
def test_small_cases_agree_with_enumeration(seed: int) -> None:
    generator = random.Random(seed)
    sizes = [generator.randint(1, 6) for _ in range(generator.randint(1, 5))]
    scores = random_scores(generator, sizes)
    made = []
    for number in range(generator.randint(1, 3)):
        costs = random_costs(generator, sizes)
        limit = generator.uniform(0, 1.2) * sum(map(max, costs.rows)) + 0.5
        made.append(Cap(f"m{number}", costs, limit, generator.choice(["<=", "<=", ">="])))
    caps = Caps(tuple(sizes), tuple(made))
    held = [picks for picks in itertools.product(*map(range, sizes)) if not caps.broken(picks)]
    found = caps.best(scores)
    assert caps.feasible() == bool(held)
    if not held:
        assert found is None
        return
    assert found in held
    assert total(scores, found) == pytest.approx(max(total(scores, picks) for picks in held), abs=1e-9)
    for cap in made:
        others = [
            picks for picks in itertools.product(*map(range, sizes)) if not caps.without(cap).broken(picks)
        ]
        values = [cap.metric.total(picks) for picks in others]
        nearest = min(values) if cap.relation == "<=" else max(values)
        assert caps.reachable(cap) == pytest.approx(nearest, abs=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_a_cap_is_never_exceeded(seed: int) -> None:
    generator = random.Random(1000 + seed)
    sizes = [generator.randint(1, 7) for _ in range(21)]
    costs = random_costs(generator, sizes)
    least = costs.total(costs.least)
    limit = least * generator.choice([0.999, 1 - 1e-12, 1.0, 1.01, 1.2, 2.0])
    found = Caps(tuple(sizes), (Cap("latency on host", costs, limit, "<="),)).best(
        random_scores(generator, sizes)
    )
    assert (found is None) == (limit < least)
    assert found is None or costs.total(found) <= limit


def test_candidates_that_are_not_alive_are_not_chosen() -> None:
    costs = PathCosts(0.0, ((1.0, 2.0, 3.0), (1.0, 2.0)))
    caps = Caps((3, 2), (Cap("m", costs, 4.0),))
    assert caps.best([[0.0, 0.0, 9.0], [0.0, 1.0]]) == (2, 0)
    assert caps.best([[0.0, 0.0, 9.0], [0.0, 1.0]], [[0, 1], [1]]) in {(0, 1), (1, 1)}
    assert caps.best([[0.0, 0.0, 9.0], [0.0, 1.0]], [[2], [1]]) is None
    assert caps.best([[0.0, -float("inf"), -float("inf")], [0.0, 1.0]]) == (0, 1)


BRANCHES = """
block unit(kernel) { conv(in.channels, kernel) -> bn -> relu6 }
block wide(out, kernel) { conv(out, 1) -> relu6 -> conv(in.channels, kernel) }
block cell {
    add {
      choose { wide: wide(24, 3) | thin: unit(1) | skip: identity }
    | choose { wide: wide(32, 3) | thin: unit(3) | skip: identity }
    }
}
space branches {
    input [3, 16, 16]
    output [10]
    conv(8, 3) -> cell -> conv(8, 3, stride = 2) -> cell -> global_pool -> linear(10)
}
"""


def test_peak_memory_is_held_exactly() -> None:
    flat = flatten(space_of(Source("branches.space", BRANCHES)))
    decisions = path_decisions(flat.graph)
    sizes = tuple(len(each.labels) for each in decisions)
    memory, every = PeakMemory(flat, decisions), list(itertools.product(*map(range, sizes)))
    peaks = {picks: memory.total(picks) for picks in every}
    for picks in every[::7]:
        assert peaks[picks] == cost(derive(flat, choices_of(decisions, picks))).peak_memory_bytes
    assert memory.total(memory.least) == min(peaks.values())
    generator = random.Random(0)
    for limit in sorted({*peaks.values()}):
        scores = random_scores(generator, sizes)
        caps = Caps(sizes, (Cap("peak_memory", memory, limit, "<="),))
        held = [picks for picks in every if peaks[picks] <= limit]
        found = caps.best(scores)
        assert found in held
        assert total(scores, found) == pytest.approx(max(total(scores, picks) for picks in held))
    tight = Caps(sizes, (Cap("peak_memory", memory, min(peaks.values()) - 1, "<="),))
    assert tight.best(random_scores(generator, sizes)) is None
    assert not tight.feasible()


def test_sizes_are_those_of_the_derived_networks() -> None:
    flat = flatten(space_of(Source("branches.space", BRANCHES)))
    decisions = path_decisions(flat.graph)
    sizes = size_costs(flat, decisions)
    for picks in itertools.product(*[range(len(each.labels)) for each in decisions]):
        whole = cost(derive(flat, choices_of(decisions, picks)))
        assert (sizes["macs"].total(picks), sizes["params"].total(picks)) == (whole.macs, whole.params)


def test_a_cap_says_what_it_is() -> None:
    costs = PathCosts(0.0, ((1.0,),))
    assert f"{Cap('latency on host', costs, 0.08, '<=')}" == "latency <= 0.08 ms on host"
    assert f"{Cap('macs', costs, 3e6, '>=')}" == "macs >= 3e+06"
