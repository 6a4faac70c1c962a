"""Laws of the two texts of a file: canonical and formatted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl import syntax
from dsl.diagnostic import DiagnosticError
from dsl.format import canonical, format_source
from dsl.layout import WIDTH
from dsl.parser import parsed
from dsl.scan import scan
from dsl.source import Source
from tests.conftest import Golden
from tests.dsl.spaces import SPACES, load
from tests.dsl.trees import trees


@given(trees)
@settings(max_examples=100)
def test_parse_of_print_is_the_identity(tree: syntax.File) -> None:
    text = canonical(tree)
    again = parsed(Source("printed", text))
    assert again == tree
    assert canonical(again) == text


@given(trees, st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_format_keeps_meaning_and_comments_and_is_idempotent(
    tree: syntax.File, random: st.DataObject
) -> None:
    scattered = _scattered(canonical(tree), random)
    source = Source("scattered", scattered)
    once = format_source(source)
    again = Source("formatted", once)
    assert parsed(again) == tree
    assert sorted(_comments(again)) == sorted(_comments(source))
    assert format_source(again) == once


def _scattered(text: str, random: st.DataObject) -> str:
    """The tokens of a text with other white space, and comments, between them."""
    parts = []
    for number, token in enumerate(scan(Source("canonical", text)).tokens):
        gap = random.choice(
            ["  ", "  ", "\n", "\n\n\n", "\t \t", f"  # {number}\n", f"\n#{number}\n", "\r\n"]
        )  # type: ignore[attr-defined]
        parts.append(str(token) + gap)
    return "".join(parts)


def _comments(source: Source) -> list[str]:
    return [comment.text for comment in scan(source).comments]


@pytest.mark.parametrize("name", SPACES)
def test_formatted_spaces(name: str, golden: Golden) -> None:
    source = load(name)
    text = format_source(source)
    golden(f"dsl/formatted/{name}.space", text)
    assert parsed(Source(name, text)) == parsed(source)
    assert all(len(line) <= WIDTH for line in text.splitlines() if "#" not in line)


@pytest.mark.parametrize("name", SPACES)
def test_canonical_spaces(name: str, golden: Golden) -> None:
    golden(f"dsl/canonical/{name}.space", canonical(parsed(load(name))))


def test_a_text_with_syntax_errors_is_not_formatted() -> None:
    with pytest.raises(DiagnosticError):
        format_source(Source("bad", "block {"))


def test_statements_of_one_line_keep_their_distance() -> None:
    """`n = 3` before a pipe that starts at `s` must not become three seconds."""
    source = Source("unit", "block a(s) { n = 3\ns -> conv(n) }")
    assert parsed(Source("again", format_source(source))) == parsed(source)


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n", "# a\n\n\n\n# b", "\r\n# windows\r\nx = 3\r\n"])
def test_small_texts(text: str) -> None:
    once = format_source(Source("small", text))
    assert format_source(Source("again", once)) == once
    assert "\r" not in once
    assert "\n\n\n" not in once


EVERYTHING = """use "lib.space" as lib
n = if 1 < 2 then 3 else choose(1..9 step 2)
tied block a(x, y = -x) {
    z = in -> conv(x, kernel = 3) as k
    if x == 1 and not y { relu } else if true { bn } else { choose { p: relu when n > 1 | lib.b } as q }
    -> tied repeat (n + 1) as i { residual when i != 2 { add(z, in) } }
    -> concat choose 1..2 of { mul { relu | bn } | identity }
}
space s {
    input [3, 8, 8]
    output [3]
    a(8 ms) -> x
    require latency <= 8 ms on lib.host
}
search s as t { data = digits  macs <= 6 M }
"""
TOKENS = scan(Source("everything", EVERYTHING)).tokens


@pytest.mark.parametrize("index", range(len(TOKENS)))
def test_a_comment_may_stand_between_any_two_words(index: int) -> None:
    end = TOKENS[index].end_pos or 0
    comment = " # here\n" if index % 2 else "\n\n\n# here\r\n\n\n"
    source = Source("commented", EVERYTHING[:end] + comment + EVERYTHING[end:])
    once = Source("formatted", format_source(source))
    assert _comments(once) == ["# here"]
    assert parsed(once) == parsed(source)
    assert format_source(once) == once.text
