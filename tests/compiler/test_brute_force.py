"""The compiler against an interpreter of the syntax tree: the same assignments, the same networks."""

from __future__ import annotations

import re
from collections import Counter as Tally

import pytest

from compiler.architecture import every
from compiler.counting import Counter
from compiler.derive import derive
from tests.compiler.enumerated import Enumerated, enumerate_text, small_spaces
from tests.compiler.naming import matched
from tests.compiler.random_spaces import made
from tests.compiler_spaces import EXAMPLES

SPACES = 300


def compare(it: Enumerated) -> None:
    """The same number of networks, the same assignments, and under each the same network."""
    architectures = list(every(Counter(it.graph)))
    paths = matched(it.graph, it.brute, {path for each in architectures for path in each.choices})
    expected = {
        frozenset((paths[made], choice) for made, choice in run.choices.items()): run.output.number
        for run in it.runs
    }
    assert Counter(it.graph).size() == len(it.runs) == len(expected) == len(architectures)
    found = {
        frozenset(each.choices.items()): it.brute.terms.of(derive(it.graph, each.choices)).number
        for each in architectures
    }
    assert found == expected


@pytest.mark.parametrize("part", range(10))
def test_random_spaces(part: int) -> None:
    """Three hundred, in ten parts: seeds of a part end in one digit."""
    for seed, it in small_spaces(SPACES).items():
        if seed % 10 == part:
            try:
                compare(it)
            except AssertionError as problem:
                raise AssertionError(f"seed {seed}:\n{made(seed)}\n{problem}") from None


def test_random_spaces_hold_everything() -> None:
    texts = [made(seed) for seed in small_spaces(SPACES)]
    for what in (
        r"tied block", r"tied repeat", r"repeat choose", r"choose \{", r"add choose 1\.\.2 of", r"concat choose",
        r"choose 1\.\.2 of \(", r"contains", r"residual when", r": zero when \d < \d", r"as n_\w+", r"else \{",
        r"then choose", r"and not", r"or not", r"squeeze_excite", r"separable", r"input one", r"- 1\)", r"max\(",
        r"mul \{", r"zero", r"choose\(relu, hswish\)", r"n_\w+\(in -> bn\)", r"choose\(1, 2\), 1\)",
    ):  # fmt: skip
        assert sum(bool(re.search(what, text)) for text in texts) >= 2, what


def test_random_spaces_are_of_many_sizes() -> None:
    sizes = Tally(len(it.runs) for it in small_spaces(SPACES).values())
    assert len(sizes) > 30
    assert max(sizes.values()) < SPACES / 4


SHRUNKEN = {
    "nas_bench_macro": ([("stage(128, 3) -> stage(256, 3)", "stage(128, 2)")], 3**4),
    "nas_bench_201": ([("      | nor_conv_1x1: rcb(in.channels, 1)\n", ""), ("repeat 5", "repeat 2")], 4**6),
    "small_vit": ([("choose(4..6) as layer", "choose(1..2) as layer")], 3 * (4 + 4**2)),
    "ofa_mobilenet_v3": (
        [
            ("repeat choose(2, 3, 4) as layer", "repeat choose(1, 2) as layer"),
            ("    -> unit(40, stride = 2, se = true, act = relu)\n", ""),
            ("    -> unit(80, stride = 2, se = false, act = hswish)\n", ""),
            ("    -> unit(112, stride = 1, se = true, act = hswish)\n", ""),
            ("    -> unit(160, stride = 2, se = true, act = hswish)\n", ""),
        ],
        9 + 9**2,
    ),
    "path_tree": ([("{ node(3) }", "{ node(1) }")], 442),
    "nats_bench_size": ([("choose(8..64 step 8)", "choose(8..24 step 8)")], 3**5),
    "se_mobile": (
        [("-> layer(24, stride = 2) -> repeat 2 { layer(24, stride = 1) }\n", "-> layer(16, stride = 1)\n"),
         ("    -> layer(48, stride = 2) -> repeat 2 { layer(48, stride = 1) }\n", "")],
        25,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "size"), [(name, size) for name, (_, size) in SHRUNKEN.items()])
def test_shrunken_shipped_spaces(name: str, size: int) -> None:
    text = (EXAMPLES / f"{name}.space").read_text(encoding="utf-8")
    for before, after in SHRUNKEN[name][0]:
        assert before in text
        text = text.replace(before, after)
    it = enumerate_text(text, name, 20_000)
    assert Counter(it.graph).size() == len(it.runs) == size
