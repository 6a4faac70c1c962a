"""The table of codes: complete, true, and what the documentation says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dsl.check import check
from dsl.codes import CODES, Code, markdown
from dsl.diagnostic import Diagnostic
from dsl.parser import parse
from dsl.source import Source
from tests.conftest import Golden
from tests.dsl.operators import OPERATORS

ROOT = Path(__file__).parent.parent.parent
# Rows that lowering gives are shown by the compiler's tests.
OWN = [code for code in CODES.values() if not code.code.startswith(("E02", "E03"))]


def findings(text: str) -> list[Diagnostic]:
    file, spelling = parse(Source("example.space", text))
    if file is None:
        return spelling
    return [*spelling, *check(file, OPERATORS, spelling)]


@pytest.mark.parametrize("code", OWN, ids=lambda code: code.code)
def test_examples_do_what_they_say(code: Code) -> None:
    if code.wrong:
        assert [each.code for each in findings(code.wrong)] == [code.code]
        assert findings(code.right) == []


def test_every_code_has_a_row() -> None:
    used = {
        code
        for path in (ROOT / "dsl").glob("*.py")
        for code in re.findall(r'Diagnostic\(\s*"([EW]\d{4})"', path.read_text(encoding="utf-8"))
    }
    assert used <= set(CODES)


def test_documentation_is_the_table(golden: Golden) -> None:
    golden("../../docs/diagnostics.md", markdown())
