"""The least and the most that parts of a space cost: equal to what enumerating all networks gives."""

from __future__ import annotations

import pytest

from compiler.bounds import Bounds, TooMany, bounds, items_of
from compiler.cost import cost
from compiler.counting import Counter
from compiler.derive import derive
from compiler.frontend import examine
from compiler.ir.expression import Choice, apply
from tests.compiler_spaces import space
from tests.dsl.spaces import load

BODIES = [
    "conv(8, 3) -> bn -> global_pool",
    "conv(choose(8, 16), choose(3, 5)) -> bn -> global_pool",
    "choose { a: conv(choose(4, 8, 12), 3) -> conv(6, 1) | b: conv(6, 1) -> relu } -> global_pool",
    "w = choose(4, 8)  conv(w, 3) -> conv(w * 2, 1) -> choose { conv(6, 3) | c: conv(w, 3) -> conv(6, 1) }"
    " -> global_pool",
    "conv(6, 1) -> repeat choose(1, 2, 3) as i { choose { conv(6, 3) | identity } } -> global_pool",
    "e = choose(1, 2)  if e > 1 { conv(4 * e, 1) -> conv(3, 1) } -> conv(6, choose(1, 3)) -> global_pool",
    "conv(6, 1) -> add choose 2 of { conv(6, 1) | conv(6, 3) | conv(6, 5) | identity } -> global_pool",
]


@pytest.mark.parametrize("body", BODIES)
def test_bounds_are_those_of_all_networks(body: str) -> None:
    whole = space(body)
    costs = [cost(derive(whole, choices)) for choices in Counter(whole).iterate()]
    params, macs = [each.params for each in costs], [each.macs for each in costs]
    assert bounds(items_of(whole.graph)) == Bounds((min(params), max(params)), (min(macs), max(macs)))


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("mobilenet_v2", (3_504_872, 3_504_872), (300_774_272, 300_774_272)),
        ("nas_bench_201", (73_306, 1_531_546), (7_783_040, 220_119_680)),
    ],
)
def test_bounds_of_published_spaces(name: str, params: tuple[int, int], macs: tuple[int, int]) -> None:
    (graph,) = examine(load(name)).graphs.values()
    assert bounds(items_of(graph.graph)) == Bounds(params, macs)


def test_conditions_narrow_the_bounds() -> None:
    items = items_of(space("w = choose(4, 8)  conv(w, 1) -> global_pool").graph)
    (choice,) = items[0].choices
    wide = apply("==", Choice(choice, (4, 8)), 8)
    never = apply("==", Choice(choice, (4, 8)), 5)
    assert bounds(items[:1]) == Bounds((12, 24), (768, 1536))
    assert bounds(items[:1], [wide]) == Bounds((24, 24), (1536, 1536))
    assert bounds(items[:1], [never]) is None


def test_what_is_too_entangled_is_given_up_soon() -> None:
    body = "".join(f"a{i} = choose(1, 2)\n" for i in range(12))
    total = " + ".join(f"a{i}" for i in range(12))
    with pytest.raises(TooMany):
        bounds(items_of(space(f"{body}conv({total}, 1) -> conv({total}, 1) -> global_pool").graph))
