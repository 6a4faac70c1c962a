"""Laws of random spaces: text, vectors, neighbours, variation, flattening, sampling."""

from __future__ import annotations

import random
from collections import Counter as Tally

import pytest
from scipy.stats import chisquare

from compiler.architecture import Architecture, every, sample, validate
from compiler.cost import cost
from compiler.counting import Counter, count_with
from compiler.derive import derive
from compiler.encoding import Encoding
from compiler.ir.graph import SpaceGraph
from compiler.ir.text import print_space, read
from compiler.ir.verify import verify_network, verify_space
from compiler.passes.flatten import CannotFlatten, flatten
from compiler.variation import crossover, mutate, neighbours
from tests.compiler.enumerated import graph_of, small_spaces
from tests.compiler_spaces import space

TEXTS, SMALL = 500, 60
SKEWED = space("choose { big: conv(choose(4..32 step 4), 3) -> conv(3, 1) | small: relu } -> global_pool")
"""Eight networks through one path, one through the other."""


def _small() -> list[SpaceGraph]:
    return [it.graph for it in list(small_spaces(300).values())[:SMALL]]


@pytest.mark.parametrize("part", range(5))
def test_text_reads_back_equal(part: int) -> None:
    for seed in range(part, TEXTS, 5):
        graph = graph_of(seed)
        assert read(print_space(graph)) == verify_space(graph), f"seed {seed}"


@pytest.mark.parametrize("form", ["index", "one_hot"])
def test_vectors_decode_to_what_was_encoded(form: str) -> None:
    for graph in _small():
        encoding = Encoding(graph, form)  # type: ignore[arg-type]
        vectors = set()
        for architecture in every(Counter(graph)):
            vector = encoding.encode(architecture)
            assert len(vector) == len(encoding.columns)
            assert encoding.decode(vector) == validate(graph, architecture) == architecture
            vectors.add(tuple(vector))
        assert len(vectors) == Counter(graph).size()


def _differ(one: Architecture, other: Architecture) -> int:
    """In how many decisions that both have."""
    common = one.choices.keys() & other.choices.keys()
    return sum(one.choices[path] != other.choices[path] for path in common)


def test_neighbours_are_those_that_differ_in_one_common_decision() -> None:
    for graph in _small()[:30]:
        everything = list(every(Counter(graph)))
        for architecture in everything[:: max(1, len(everything) // 5)]:
            found = list(neighbours(graph, architecture))
            expected = [other for other in everything if _differ(architecture, other) == 1]
            assert {tuple(each.choices.items()) for each in found} == {
                tuple(each.choices.items()) for each in expected
            }
            assert len(found) == len(expected)


def test_variation_stays_in_the_space_and_repeats_by_seed() -> None:
    for graph in _small():
        one, other = sample(graph, 2, seed=3)
        children = [
            [mutate(graph, one, stream, 0.3), crossover(graph, one, other, stream)]
            for stream in (random.Random(5), random.Random(5))
        ]
        assert children[0] == children[1]
        assert all(validate(graph, child) == child for child in children[0])
        assert children[0][0] != one
        for path, choice in children[0][1].choices.items():
            parents = [parent.choices[path] for parent in (one, other) if path in parent.choices]
            assert not parents or choice in parents


def test_flattening_keeps_the_networks() -> None:
    flattened = compared = 0
    for graph in _small():
        try:
            flat = verify_space(flatten(graph))
        except CannotFlatten:
            continue
        flattened += 1
        for architecture in sample(graph, 3, seed=2):
            plain, found = (verify_network(derive(each, architecture.choices)) for each in (graph, flat))
            assert plain.graph.type == found.graph.type
            # A zero of one decision that another one adds stays in the flattened form.
            if all(node.op != "zero" for node in found.graph.nodes):
                assert cost(plain) == cost(found)
                compared += 1
    assert flattened > SMALL / 2
    assert compared > SMALL


def _tally(by: str) -> tuple[list[int], list[bool]]:
    drawn = Tally(tuple(each.choices.items()) for each in sample(SKEWED, 4500, seed=11, by=by))  # type: ignore[arg-type]
    order = [tuple(each.choices.items()) for each in every(Counter(SKEWED))]
    return [drawn[each] for each in order], [("path", "small") in each for each in order]


def test_samples_are_even_over_networks() -> None:
    counts, _ = _tally("networks")
    assert len(counts) == 9
    assert chisquare(counts).pvalue > 0.01


def test_samples_by_decisions_are_even_over_the_options_of_each() -> None:
    counts, small = _tally("decisions")
    assert chisquare(counts).pvalue < 1e-6
    assert chisquare(counts, [4500 / 2 if each else 4500 / 16 for each in small]).pvalue > 0.01


def test_a_fixed_choice_narrows_the_space() -> None:
    counter = Counter(SKEWED, {"path": ("big",)})
    assert counter.size() == 8 == len(list(counter.iterate()))
    assert all(counter.sample(random.Random(seed))["path"] == "big" for seed in range(5))


def test_counting_with_choices_counts_the_networks_that_have_them() -> None:
    for graph in _small():
        everything = list(every(Counter(graph)))
        for architecture in everything[:: max(1, len(everything) // 3)]:
            some = dict(list(architecture.choices.items())[-2:])
            having = [each for each in everything if some.items() <= each.choices.items()]
            assert count_with(graph, some) == len(having)
