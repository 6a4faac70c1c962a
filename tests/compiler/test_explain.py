"""Every diagnostic code: its wrong program gives it and nothing else, its right one gives nothing."""

from __future__ import annotations

import pytest

from compiler.explain import findings, markdown, said
from dsl.code import Code
from dsl.codes import CODES
from tests.conftest import Golden


@pytest.mark.parametrize("row", CODES.values(), ids=CODES)
def test_wrong_programs_give_their_code_alone(row: Code) -> None:
    assert [each.code for each in findings(row, row.wrong)] == [row.code]


@pytest.mark.parametrize("row", CODES.values(), ids=CODES)
def test_right_programs_give_nothing(row: Code) -> None:
    assert findings(row, row.right) == []


def test_the_page_is_the_table_and_what_is_said(golden: Golden) -> None:
    golden("../../docs/diagnostics.md", markdown())


def test_what_is_said_shows_the_place() -> None:
    assert said(CODES["E0101"]).splitlines()[1:3] == [
        "    1 | block a { cnov(8, 3) }",
        "      |           ^^^^",
    ]
