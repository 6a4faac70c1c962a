"""Sizes are exact, samples are uniform over networks, iteration meets every network once."""

from __future__ import annotations

import random
from collections import Counter as Tally

import pytest

from compiler.counting import Counter, TooEntangled
from tests.compiler_spaces import shipped, space

PUBLISHED = {
    "proxyless_mobile": 221_502_229_807_900_608,
    "nas_bench_macro": 6_561,
    "mobilenet_v2": 1,
    "quickstart": 7**6 * 6**2,
    "cifar10": 7**8 * 6**2,
    "nas_bench_201": 5**6,
    "nats_bench_size": 8**5,
    "darts": 1_037_664_180**2,
    "ofa_mobilenet_v3": (9**2 + 9**3 + 9**4) ** 5,
    "path_tree": 8_929_329_154_589_572_045_632_183_366_258_202,
    "mobilenet_v3": 1,
    "proxyless_mobile_searched": 1,
    "proxyless_mobile_14": 1,
    "se_mobile": (2 * 3 * 2 * 2) ** 2 * (2 * 3 * 2 * 2 + 1) ** 4,
    "small_vit": 3 * (4**4 + 4**5 + 4**6),
}


@pytest.mark.parametrize(("name", "size"), PUBLISHED.items())
def test_size_of_shipped_spaces(name: str, size: int) -> None:
    assert Counter(shipped(name)).size() == size


SMALL = {
    "a decision in a path that is not chosen does not count": (
        "choose { conv(choose(4, 8), 1) -> conv(3, 1) as a | skip: identity } -> global_pool",
        None,
    ),
    "values multiply": ("conv(choose(4, 8), choose(1, 3)) -> conv(3, 1) -> global_pool", 4),
    "a path with decisions of its own": (
        "choose { big: conv(choose(4, 8), 1) -> conv(3, choose(1, 3)) | skip: identity } -> global_pool",
        5,
    ),
    "a shared decision counts once": ("w = choose(4, 8, 12)\nconv(w, 1) -> conv(w, 1) -> global_pool", 3),
    "elastic depth": ("repeat choose(1, 2) as i { conv(3, choose(1, 3, 5)) } -> global_pool", 3 + 9),
    "one option is no decision": ("conv(choose(4), 1) -> global_pool", 1),
    "a condition on a decision selects an arm": (
        "k = choose(1, 3)\nif k > 1 { conv(3, k) -> conv(3, choose(1, 5)) } -> conv(k, 1) -> global_pool",
        3,
    ),
    "a conditional residual over two widths makes no decision": (
        "a = choose(4, 8)\nb = choose(4, 8)\nconv(a, 1) -> residual when a == b { conv(b, 1) } -> global_pool",
        4,
    ),
}


@pytest.mark.parametrize("name", [name for name, (_, size) in SMALL.items() if size is not None])
def test_small_sizes_by_hand_and_by_iteration(name: str) -> None:
    body, size = SMALL[name]
    counter = Counter(space(body))
    everything = [tuple(sorted(choices.items())) for choices in counter.iterate()]
    assert counter.size() == size == len(everything) == len(set(everything))


def test_samples_are_uniform_over_networks_not_over_decisions() -> None:
    counter = Counter(space(SMALL["a path with decisions of its own"][0]))
    stream = random.Random(0)
    tally = Tally(tuple(sorted(counter.sample(stream).items())) for _ in range(5000))
    assert len(tally) == 5
    assert all(850 < number < 1150 for number in tally.values())


def test_the_first_decision_varies_slowest() -> None:
    counter = Counter(space("conv(choose(4, 8), choose(1, 3)) -> global_pool"))
    assert [tuple(choices.values()) for choices in counter.iterate()] == [(4, 1), (4, 3), (8, 1), (8, 3)]


def test_a_knot_of_decisions_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compiler.counting.BRANCH_CAP", 0)
    body = "a = choose(1, 3)\nb = choose(1, 3)\nif a == b { conv(3, choose(1, 3)) } -> global_pool"
    with pytest.raises(TooEntangled):
        Counter(space(body)).size()
