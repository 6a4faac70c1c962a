"""A graph's text reads back equal, at every stage; other text is refused with a place."""

from __future__ import annotations

import pytest

from compiler.architecture import sample
from compiler.derive import derive
from compiler.ir.text import NotAGraph, print_network, print_space, read
from compiler.passes.flatten import flatten
from tests.compiler_spaces import SEARCHABLE, SHIPPED, shipped, space
from tests.conftest import Golden


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_spaces_round_trip(name: str) -> None:
    graph = shipped(name)
    assert read(print_space(graph)) == graph
    for architecture in sample(graph, 3, seed=1):
        network = derive(graph, architecture.choices)
        assert read(print_network(network)) == network


@pytest.mark.parametrize("name", SEARCHABLE)
def test_flattened_spaces_round_trip(name: str) -> None:
    flat = flatten(shipped(name))
    assert read(print_space(flat)) == flat


def test_golden_text(golden: Golden) -> None:
    graph = space(
        """
        w = choose(4, 8)
        conv(w, 3) -> bn -> relu6
        -> residual { choose { mb: conv(w * 2, 1) -> conv(w, choose(1, 3)) | skip: zero } }
        -> repeat choose(1, 2) as i { depthwise(3) }
        -> global_pool -> linear(10)
        require macs <= 3 M
        """
    )
    golden("compiler/space.graph", print_space(graph))
    golden("compiler/flat.graph", print_space(flatten(graph)))


@pytest.mark.parametrize(
    "text", ["", "space", "space x { return %a }", "space x {\n%a = relu(%b) : [1]\nreturn %a }"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(NotAGraph):
        read(text)
