"""Offsets and the protocol's places: each is the other's inverse, in every encoding and with every line end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol.types import Position

from dsl.source import Source
from runtime.lsp.positions import Lines, lines_of

TEXTS = st.text(st.sampled_from("a\n\r\té€😀\N{MUSICAL SYMBOL G CLEF}\u2028\x0c\ud800 "), max_size=40)
ENCODINGS = ("utf-8", "utf-16", "utf-32")
TEXT = "é = 3 # 😀 x\r\nb = 4\rc\n"


@pytest.mark.parametrize(
    ("encoding", "character"), [("utf-8", 14), ("utf-16", 11), ("utf-32", 10), ("unheard-of", 11)]
)
def test_columns_are_counted_in_units_of_the_encoding(encoding: str, character: int) -> None:
    lines = Lines(TEXT, encoding)
    assert lines.position(TEXT.index("x")) == Position(0, character)
    assert lines.offset(Position(0, character)) == TEXT.index("x")


def test_lines_end_as_the_protocol_says() -> None:
    lines = Lines(TEXT, "utf-16")
    assert lines.position(TEXT.index("b")) == Position(1, 0)
    assert lines.position(TEXT.index("c")) == Position(2, 0)
    assert lines.position(len(TEXT)) == Position(3, 0)
    # Form feeds and line separators end no line.
    assert Lines("a\x0cb\u2028c", "utf-16").position(4) == Position(0, 4)


def test_the_characters_of_a_line_end_are_at_its_start() -> None:
    lines = Lines("ab\r\nc", "utf-16")
    assert [lines.position(offset) for offset in (2, 3, 4)] == [
        Position(0, 2),
        Position(0, 2),
        Position(1, 0),
    ]


@pytest.mark.parametrize(
    ("position", "offset"),
    [(Position(0, 99), 2), (Position(9, 0), 4), (Position(1, 5), 4), (Position(0, 0), 0)],
)
def test_places_beyond_their_line_or_text(position: Position, offset: int) -> None:
    assert Lines("ab\nc", "utf-16").offset(position) == offset


def test_a_place_inside_a_character_is_its_start() -> None:
    assert Lines("a😀b", "utf-16").offset(Position(0, 2)) == 1
    assert Lines("a😀b", "utf-8").offset(Position(0, 3)) == 1


@given(TEXTS, st.sampled_from(ENCODINGS))
def test_every_offset_comes_back(text: str, encoding: str) -> None:
    lines = Lines(text, encoding)
    previous = Position(0, 0)
    for offset in range(len(text) + 1):
        place = lines.position(offset)
        assert place >= previous
        previous = place
        if text[offset - 1 : offset + 1] != "\r\n":
            assert lines.offset(place) == offset


def test_spans_and_whole_texts() -> None:
    source = Source("a.space", TEXT)
    lines = lines_of(source, "utf-16")
    place = lines.range(source.span(TEXT.index("b"), TEXT.index("b") + 1))
    assert (place.start, place.end) == (Position(1, 0), Position(1, 1))
    assert lines.whole().end == Position(3, 0)
    assert lines_of(source, "utf-16") is lines
