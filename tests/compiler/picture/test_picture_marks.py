"""Probabilities are held against the space, and summed where a decision is one of several."""

from __future__ import annotations

import pytest

from compiler.frontend import space_of
from compiler.ir.graph import MIXED, SpaceGraph
from compiler.passes.flatten import flatten
from compiler.picture.marks import Marks, UnfitProbabilities, entropy_bits, fit_shares, marginal
from compiler.picture.table import decision_table
from tests.compiler_spaces import space
from tests.dsl.spaces import load

TWO = "conv(4, choose(3, 5) as size) -> choose { one: bn | two: relu } -> global_pool"


def uniform(graph: SpaceGraph) -> dict[str, dict[str, float]]:
    nodes = [node for node in graph.graph.nodes if node.op == MIXED]
    return {n.name: {str(c.key): 1 / len(n.candidates) for c in n.candidates} for n in nodes}


def test_a_mixed_op_is_given_by_its_name_or_by_its_only_decision() -> None:
    graph = flatten(space("conv(4, choose(3, 5) as size) -> global_pool"))
    (node,) = [node for node in graph.graph.nodes if node.op == MIXED]
    labels = [str(each.key) for each in node.candidates]
    row = dict(zip(labels, (0.25, 0.75), strict=True))
    assert fit_shares(graph.graph, {"size": row})[node.name] == row
    assert fit_shares(graph.graph, {node.name: row})[node.name] == row


def test_one_place_of_a_tied_decision_gives_them_all() -> None:
    graph = flatten(space_of(load("nas_bench_201")))
    given = dict(list(uniform(graph).items())[:1])
    assert len(fit_shares(graph.graph, given)) == 15


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"other": {"one": 1.0}}, "`other`: no such decision in this space"),
        ({"path": {"one": 1.0}}, "no probability of `two`"),
        ({"path": {"one": 0.5, "two": 0.4}}, "have a sum of 0.9"),
        (
            {"path": {"one": 0.5, "two": 0.4, "three": 0.1}},
            "no candidate `three`; candidates are `one`, `two`",
        ),
        ({"\x1b[31m": {"one": 1.0}}, "\\u001b[31m"),
    ],
)
def test_what_does_not_fit_is_said(given: dict[str, dict[str, float]], said: str) -> None:
    graph = space("conv(4, 3) -> choose { one: bn | two: relu } -> global_pool")
    with pytest.raises(UnfitProbabilities, match="`") as problem:
        fit_shares(graph.graph, given)
    assert said in str(problem.value)


def test_marginals_are_sums_given_that_a_decision_is_reached() -> None:
    body = "conv(4, 3) -> choose { skip: identity | conv(4, choose(3, 5) as size) } -> global_pool"
    graph = flatten(space(body))
    (node,) = [node for node in graph.graph.nodes if node.op == MIXED]
    row = {str(each.key): share for each, share in zip(node.candidates, (0.5, 0.1, 0.4), strict=True)}
    path = next(path for path, _ in node.candidates[1].choices if path.endswith("size"))
    assert marginal(node, row, path, 5) == pytest.approx(0.8)
    assert marginal(node, dict.fromkeys(row, 0.0), path, 5) is None


def test_entropy_is_in_bits() -> None:
    assert entropy_bits([0.25] * 4) == 2
    assert entropy_bits([1.0, 0.0]) == 0


def test_the_table_has_every_decision_with_its_probabilities() -> None:
    original = space(TWO)
    graph = flatten(original)
    marks = Marks({"size": 5, "path": "two"}, fit_shares(graph.graph, uniform(graph)))
    rows, left_out = decision_table(original, graph, marks)
    assert left_out == 0
    assert [(row.path, [(each.label, each.state, each.share) for each in row.options]) for row in rows] == [
        ("size", [("3", "pale", 0.5), ("5", "chosen", 0.5)]),
        ("path", [("one", "pale", 0.5), ("two", "chosen", 0.5)]),
    ]
    assert {row.entropy for row in rows} == {"1.00"}
    assert rows[0].written.startswith("line ")
