"""Static checks that the golden files and the examples of codes do not show."""

from __future__ import annotations

import pytest

from dsl.check import check
from dsl.labels import labels
from dsl.parser import parse, parsed
from dsl.source import Source
from dsl.syntax import Block, ChoosePath, MergeSubset
from tests.dsl.operators import OPERATORS
from tests.dsl.spaces import SPACES, load


def codes(text: str) -> list[str]:
    file, spelling = parse(Source("check", text))
    assert file is not None
    return [each.code for each in [*spelling, *check(file, OPERATORS, spelling)]]


@pytest.mark.parametrize("name", SPACES)
def test_published_spaces_are_sound(name: str) -> None:
    assert check(parsed(load(name)), OPERATORS) == []


@pytest.mark.parametrize(
    "text",
    [
        "block a(n) { if n > 0 { b(n - 1) } }  block b(n) { a(n) }",
        "block a(act = relu) { conv(8, 3) -> act }",
        "block a { act = relu  conv(8, 3) -> act }",
        "block a(f) { f(8, 3) }",
        "block a(out = in.channels, half = out // 2) { conv(half, 1) }",
        "block a(x, y) { fuse(x, y) }  block fuse(x, y) { add(x, y) }",
        "space s { input x [3, 8, 8]  output [3, 8, 8]  in -> relu }",
        "space s { input x [3, 8, 8]  input y [3, 8, 8]  output [3, 8, 8]  add { x -> relu | y } }",
        "space s { input x [3, 8, 8]  input y [3, 8, 8]  output [3, 8, 8]  x -> residual { mul(in, y) } }",
        "block a { repeat choose(1, 2) as i { conv(8, 2 * i + 1) } }",
        "block a { x = conv(8, 3) as left  add(x, conv(8, 3) as right) }",
        "block a { choose { conv(8, 3) | conv(8, 5) | conv(8, 7) as big } }",
        "block a { w = max(1, choose(2, 3), 4)  conv(w, 3) }",
        "block a { n = choose 1..2 of (1..4)  if n contains 3 { relu } }",
        'use "other.space"\nblock a { theirs(3) -> other }',
    ],
)
def test_right(text: str) -> None:
    assert codes(text) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x = in.channels", ["E0105"]),
        ("x = x + 1", ["E0103"]),
        ("space s { input [3]  output [3]  relu }  block a { s }", ["E0101"]),
        ("block a { repeat 2 as i { relu } -> conv(i, 3) }", ["E0101"]),
        ("block a { x = relu  if true { x = bn  x } -> x }", ["E0102"]),
        ("block a(conv) { conv }", ["E0104"]),
        ("block a { residual { relu -> in } }", ["E0106"]),
        ("block a { n = 3  conv(8, n) -> n }", ["E0106"]),
        (
            "space s { input x [3, 8, 8]  input y [3, 8, 8]  output [3, 8, 8]  residual { add(x, y) } }",
            ["E0105"],
        ),
        ("space s { input x [3, 8, 8]  input [3, 8, 8]  output [3, 8, 8]  x -> relu }", ["E0141"]),
        ("block a { conv(8, 3) -> conv }", ["E0121"]),
        ("search s as x { data = digits }", ["E0101"]),
    ],
)
def test_wrong(text: str, wanted: list[str]) -> None:
    assert codes(text) == wanted


def test_a_syntax_error_makes_no_other_errors() -> None:
    assert codes("block a(out) { x = conv(out 3)  x -> lost }\nblok b { relu }\nblock c { a(3) -> b }") == [
        "E0012",
        "E0012",
    ]


def test_labels() -> None:
    text = "block a { choose { conv(8, 3) | conv(8, 5) | x: bn -> relu | conv(8, 7) as big | relu } }"
    (block,) = parsed(Source("labels", text)).select(Block)
    assert block.body.result is not None
    (choice,) = block.body.result.steps
    assert isinstance(choice, ChoosePath)
    assert labels(choice.branches) == ["conv", "conv#2", "x", "big", "relu"]


def test_labels_of_subsets_are_where_branches_start() -> None:
    text = "block a(s0) { add choose 2 of { s0 -> relu | in -> bn | s0 -> bn | relu } }"
    (block,) = parsed(Source("labels", text)).select(Block)
    assert block.body.result is not None
    (choice,) = block.body.result.steps
    assert isinstance(choice, MergeSubset)
    assert labels(choice.branches, subset=True) == ["s0", "in", "s0#2", "relu"]


@pytest.mark.parametrize(
    ("unit", "words"), [(" m", "did you mean `M`?"), (" T", "its units"), ("  M", "one space")]
)
def test_a_word_behind_a_caps_number_was_meant_as_its_unit(unit: str, words: str) -> None:
    text = f"space s {{ input [3]  output [3]\nrequire macs <= 5{unit}\nrelu }}"
    (found,) = check(parsed(Source("unit", text)), OPERATORS)
    assert found.code == "E0144"
    assert words in str(found.hint)


def test_a_run_tells_a_hundred_mistakes() -> None:
    text = "space s { input [3]  output [3]  " + " -> ".join(["rleu"] * 5_000) + " }"
    assert len(check(parsed(Source("many", text)), OPERATORS)) == 100
