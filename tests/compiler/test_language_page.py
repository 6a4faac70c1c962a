"""docs/language.md: every example compiles in this version; a block without a space is put into one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compiler.frontend import analyse
from dsl import syntax
from dsl.parser import parsed
from dsl.source import Source

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```space\n(.*?)```", PAGE, re.DOTALL)
CALLER = "space caller {{ input [16, 16, 16]  output [10]  {} -> global_pool -> linear(10) }}"


def whole(text: str) -> str:
    """The text, with a space that applies each of its blocks where it has no space."""
    file = parsed(Source("example", text))
    if file.select(syntax.Space):
        return text
    calls = [
        f"{block.name}({', '.join('16' for each in block.params if each.default is None)})"
        for block in file.select(syntax.Block)
    ]
    return text + CALLER.format(" -> ".join(calls))


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples_compile(number: int) -> None:
    assert analyse(Source("example", whole(EXAMPLES[number])))[1] == []
