"""Decisions of a flattened space, and what their candidates cost."""

from __future__ import annotations

import pytest

from compiler.ir.graph import Candidate, SpaceGraph
from compiler.path_costs import latency_path_costs
from compiler.path_decisions import LatencyCosts, path_decisions
from tests.small_spaces import Wiring, mbconv_candidate, skip_candidate, tiny_space


def test_mixed_nodes_of_equal_choices_are_one_decision() -> None:
    wiring = Wiring()
    value = wiring.enter((8, 4, 4))
    for name in ("a", "b"):
        candidates = [mbconv_candidate("tied", (8, 4, 4), 8, 3, 2, 1), skip_candidate("tied", (8, 4, 4))]
        value = wiring.mixed(name, value, candidates)
    (decision,) = path_decisions(wiring.build(value))
    assert decision.members == ("a", "b")
    costs = LatencyCosts(0.0, {"a": (1.0, 0.0), "b": (2.0, 0.5)})
    assert latency_path_costs([decision], costs).rows == ((3.0, 0.5),)


def test_decisions_shared_in_part_are_refused() -> None:
    wiring = Wiring()
    first = wiring.mixed("a", wiring.enter((8, 4, 4)), [mbconv_candidate("x", (8, 4, 4), 8, 3, 2, 1)])
    other = [Candidate("k", mbconv_candidate("x", (8, 4, 4), 8, 3, 2, 1).graph, (("x.kernel", 3),))]
    graph = wiring.build(wiring.mixed("b", first, other))
    with pytest.raises(ValueError, match=r"`x\.kernel`"):
        path_decisions(SpaceGraph("s", graph).graph)


def test_missing_costs_are_named() -> None:
    with pytest.raises(ValueError, match=r"0 latencies for the 3 candidates of `layer1\.path`"):
        latency_path_costs(path_decisions(tiny_space().graph), LatencyCosts(0.0, {}))
