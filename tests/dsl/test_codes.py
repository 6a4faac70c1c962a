"""The table of codes: complete, and each row whole. What the rows' programs give is tested with the compiler."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dsl.code import Code
from dsl.codes import CODES
from dsl.expected import keywords
from dsl.format import format_source
from dsl.source import Source

ROOT = Path(__file__).parent.parent.parent
SHOWN = [row for row in CODES.values() if isinstance(row.right, str)]


def test_every_code_that_is_given_has_a_row_and_every_row_is_given() -> None:
    paths = [*(ROOT / "dsl").glob("*.py"), *(ROOT / "compiler").rglob("*.py")]
    given = {
        code
        for path in paths
        if not path.name.startswith("codes_")
        for code in re.findall(r'"([EW]\d{4})"', path.read_text(encoding="utf-8"))
    }
    assert given == set(CODES)


@pytest.mark.parametrize("row", SHOWN, ids=lambda row: row.code)
def test_right_programs_are_in_the_house_format(row: Code) -> None:
    assert format_source(Source("right", f"{row.right}\n")) == f"{row.right}\n"


def test_a_rows_text_says_the_same_on_the_terminal_and_the_page() -> None:
    row = CODES["E0150"]
    for text in (row.text("SAID"), row.markdown("SAID")):
        words = ("E0150: files use", "Wrong:", "with `other.space`:", "Onepath says:", "SAID", "Right:")
        assert [text.index(word) for word in words] == sorted(text.index(word) for word in words)
    assert "```" not in row.text()
    assert "Onepath says" not in row.markdown()


def test_a_program_that_cannot_be_shown_is_described() -> None:
    assert "(a file of 300,000 bytes)" in CODES["E0002"].text()


def test_the_words_that_cannot_be_names_are_those_of_the_grammar() -> None:
    listed = CODES["E0015"].explanation.partition(":")[2].rstrip(".").split()
    assert listed == sorted(word for word in keywords().values() if word.isidentifier())
