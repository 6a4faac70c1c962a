"""docs/language.md: its examples are in the house format, its settings are the schema's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dsl.format import format_source
from dsl.parser import parsed
from dsl.schema_text import markdown
from dsl.source import Source

PAGE = (Path(__file__).parent.parent.parent / "docs" / "language.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```space\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples(number: int) -> None:
    source = Source(f"example {number}", EXAMPLES[number])
    assert parsed(source)
    assert format_source(source) == EXAMPLES[number]


def test_settings() -> None:
    assert PAGE.endswith("## Settings\n\n" + markdown()), (
        "write the page's settings anew from dsl.schema_text.markdown()"
    )
