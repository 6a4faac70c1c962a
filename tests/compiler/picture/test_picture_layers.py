"""Laws of layered drawing, on random graphs: wires go down, boxes keep apart, the trunk is straight."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.picture.layers import JOINTS_CAP, Layered, horizontal, layered

WIDTHS = st.floats(4, 300)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    size = draw(st.integers(1, 12))
    pairs = [(a, b) for b in range(size) for a in range(b)]
    return size, draw(st.lists(st.sampled_from(pairs), unique=True, max_size=24)) if pairs else []


@given(graphs())
def test_every_wire_goes_down_rank_by_rank(graph: tuple[int, list[tuple[int, int]]]) -> None:
    size, wires = graph
    drawn = layered(size, wires)
    assert sorted(vertex for rank in drawn.ranks for vertex in rank) == list(range(len(drawn.rank)))
    for (source, target), path in zip(wires, drawn.paths, strict=True):
        assert (path[0], path[-1]) == (source, target)
        assert [drawn.rank[at] for at in path] == list(range(drawn.rank[source], drawn.rank[target] + 1))
        assert all(at >= size for at in path[1:-1])


@given(graphs(), st.data())
def test_vertices_of_a_rank_keep_their_order_and_distance(
    graph: tuple[int, list[tuple[int, int]]], data: st.DataObject
) -> None:
    drawn = layered(*graph)
    widths = data.draw(st.lists(WIDTHS, min_size=len(drawn.rank), max_size=len(drawn.rank)))
    place = horizontal(drawn, widths, gap=10)
    for rank in drawn.ranks:
        for left, right in pairwise(rank):
            assert place[right] - place[left] >= (widths[left] + widths[right]) / 2 + 10 - 1e-6


def test_a_chain_with_skips_is_straight() -> None:
    drawn = layered(5, [(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (2, 4)])
    place = horizontal(drawn, [40, 200, 30, 90, 30, 10, 10], gap=20)
    assert place[:5] == pytest.approx([0.0] * 5, abs=0.2)
    assert all(place[joint] > 0 for joint in (5, 6))


def test_wires_that_can_do_without_crossing_do() -> None:
    # Boxes 2 and 3 read 1 and 0: in the order of the file their wires would cross.
    drawn = layered(5, [(0, 3), (1, 2), (2, 4), (3, 4)])
    (upper, lower, _) = drawn.ranks
    assert [upper.index(0), upper.index(1)] == [lower.index(3), lower.index(2)]


def test_a_box_goes_down_to_its_readers() -> None:
    wires = [(0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (3, 5), (4, 6), (5, 6)]
    assert layered(7, wires).rank[4] == 3


def test_joints_are_bounded() -> None:
    size = 300
    drawn: Layered = layered(size, [(a, b) for b in range(size) for a in (b - 1, b // 2, 0) if 0 <= a < b])
    assert len(drawn.rank) - size <= JOINTS_CAP
    assert any(len(path) == 2 and drawn.rank[path[1]] - drawn.rank[path[0]] > 1 for path in drawn.paths)
