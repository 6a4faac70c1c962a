"""docs/search.md: its space, table, function and commands work together, and it names every setting of a search."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compiler.frontend import analyse
from dsl.format import format_source
from dsl.schema import EVALUATORS, PENALTIES, STRATEGIES
from dsl.source import Source
from runtime.cli import app

PAGE = (Path(__file__).resolve().parents[2] / "docs/search.md").read_text(encoding="utf-8")
(SPACE,) = re.findall(r"```space\n(.*?)```", PAGE, re.DOTALL)
(TABLE,) = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
(JUDGE,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(COMMANDS,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)


def test_the_space_is_sound() -> None:
    source = Source("small.space", SPACE)
    assert analyse(source)[1] == []
    assert format_source(source) == SPACE


def test_every_form_is_named() -> None:
    for form in (*STRATEGIES, *EVALUATORS, *PENALTIES):
        assert re.search(rf"`[^`]*\b{form.name}\b[^`]*`", PAGE), form.name


@pytest.mark.torch
def test_the_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    for name, text in (("small.space", SPACE), ("scores.csv", TABLE), ("judge.py", JUDGE)):
        (tmp_path / name).write_text(text)
    said = []
    for command in COMMANDS.splitlines():
        program, stage, *rest = shlex.split(command)
        assert program == "onepath"
        if "learnt" in rest:  # it would profile first
            continue
        result = CliRunner().invoke(app, [stage, *rest])
        assert result.exit_code == 0, result.output
        said.append(result.stdout)
    assert len(said) == 2
    assert re.search(r"score +0\.9\b", said[0])
    assert "search/front/1.json" in said[0]
    assert '"score": 0' in said[1]
