"""What README and docs/run.md show works: the space is sound, counts are true, imports and calls exist."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

from compiler.counting import Counter
from compiler.frontend import analyse
from dsl.source import Source
from tests.compiler_spaces import shipped

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUN = (ROOT / "docs/run.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", RUN, re.DOTALL)


def test_the_readmes_space_is_sound() -> None:
    (text,) = re.findall(r"```\n(block .*?)```", README, re.DOTALL)
    assert analyse(Source("README", text))[1] == []


def test_the_readmes_counts_are_true() -> None:
    rows = re.findall(r"\| `examples/(\w+)\.space` \| ([\d,]+) \|", README)
    assert len(rows) == len(list((ROOT / "examples").glob("*.space")))
    for name, number in rows:
        assert Counter(shipped(name)).size() == int(number.replace(",", ""))


@pytest.mark.torch
@pytest.mark.parametrize("block", BLOCKS)
def test_every_import_and_call_of_the_page_exists(block: str) -> None:
    tree, known = ast.parse(block), {}
    for node in ast.walk(ast.parse("\n".join(BLOCKS))):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            known.update({alias.name: getattr(module, alias.name) for alias in node.names})
    called = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known:
            function = known[node.func.id]
            inspect.signature(function).bind(*node.args, **{str(k.arg): k.value for k in node.keywords})
            called += 1
    assert called > 3
