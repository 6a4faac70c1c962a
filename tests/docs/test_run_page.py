"""docs/run.md and README.md: the Python calls what exists as it is, the space compiles, the counts are true."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import typing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from compiler.counting import Counter  # noqa: E402
from compiler.frontend import analyse  # noqa: E402
from dsl.source import Source  # noqa: E402
from tests.compiler_spaces import SHIPPED, shipped  # noqa: E402

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "run.md").read_text(encoding="utf-8"), re.DOTALL)
COUNTS = re.findall(r"\| `examples/(\w+)\.space` \| ([\d,]+) \|", README)


class _Reader:
    """Reads programs without running them: imports what they import, and follows types through calls."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"print": print, "next": None}
        self.types: dict[str, Any] = {}
        self.calls = 0

    def read(self, text: str) -> None:
        for statement in compile(text, "block", "exec", ast.PyCF_ONLY_AST).body:
            if isinstance(statement, ast.ImportFrom):
                module = importlib.import_module(statement.module or "")
                self.names |= {name.name: getattr(module, name.name) for name in statement.names}
            elif isinstance(statement, ast.Assign):
                (target,) = statement.targets
                assert isinstance(target, ast.Name)
                self.types[target.id] = self.type_of(statement.value)
            else:
                assert isinstance(statement, ast.Expr)
                self.type_of(statement.value)

    def type_of(self, node: ast.expr) -> Any:
        """The class of a value, None where it cannot be told; whatever is called is compared with its call."""
        if isinstance(node, ast.Call):
            return self._called(node)
        if isinstance(node, ast.Attribute):
            return _attribute(self.type_of(node.value), node.attr)
        if isinstance(node, ast.Name):
            assert node.id in self.names or node.id in self.types, f"{node.id} is nowhere"
            return self.types.get(node.id)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.type_of(child)
        return None

    def _called(self, node: ast.Call) -> Any:
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            self.type_of(argument)
        if isinstance(node.func, ast.Attribute):
            owner = self.type_of(node.func.value)
            return self._bound(getattr(owner, node.func.attr), node, method=True) if owner else None
        assert isinstance(node.func, ast.Name)
        assert node.func.id in self.names, f"{node.func.id} is nowhere"
        return self._bound(self.names[node.func.id], node) if self.names[node.func.id] else None

    def _bound(self, function: Any, node: ast.Call, method: bool = False) -> Any:
        self.calls += 1
        given = [None] * (len(node.args) + method)
        inspect.signature(function).bind(*given, **dict.fromkeys(word.arg or "" for word in node.keywords))
        return function if inspect.isclass(function) else _hint(function, "return")


def _hint(holder: Any, name: str) -> Any:
    """The class that an annotation names; None where it is imported for type checkers only."""
    try:
        found = typing.get_type_hints(holder).get(name)
    except NameError:
        return None
    return found if inspect.isclass(found) else None


def _attribute(owner: Any, name: str) -> Any:
    if owner is None:
        return None
    fields = {field.name for field in dataclasses.fields(owner)} if dataclasses.is_dataclass(owner) else set()
    assert name in fields or hasattr(owner, name), f"{owner.__name__} has no {name}"
    return _hint(owner, name) if name in fields else None


def test_the_python_calls_what_exists_as_it_is() -> None:
    reader = _Reader()
    for block in BLOCKS:
        reader.read(block)
    assert reader.calls > 10
    assert {"run", "table", "network"} <= {name for name, found in reader.types.items() if found}


@pytest.mark.parametrize(
    "wrong",
    [
        "from compiler.cost import no_cost",
        "from runtime.targets import resolve\nresolve()",
        "from runtime.targets import resolve\nresolve(1, wrong=2)",
        "from dsl.settings import TargetSettings\nprint(TargetSettings('host').no_such_field)",
        "print(nowhere)",
    ],
)
def test_a_page_that_is_wrong_is_found(wrong: str) -> None:
    with pytest.raises((AssertionError, AttributeError, TypeError)):
        _Reader().read(wrong)


def test_the_readmes_space_compiles() -> None:
    (text,) = (block for block in re.findall(r"```\n(.*?)```", README, re.DOTALL) if "space small" in block)
    assert analyse(Source("README.md", text))[1] == []


def test_the_readme_counts_every_space_that_ships() -> None:
    assert {name for name, _ in COUNTS} == set(SHIPPED)
    for name, count in COUNTS:
        assert f"{Counter(shipped(name)).size():,}" == count, name
