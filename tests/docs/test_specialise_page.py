"""docs/specialise.md: its space is sound, its command gives the table that it shows, it names what is refused."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compiler.frontend import analyse
from dsl.format import format_source
from dsl.source import Source
from runtime.cli import app
from tests.runtime.specialise.targets_space import written

PAGE = (Path(__file__).resolve().parents[2] / "docs/specialise.md").read_text(encoding="utf-8")
(SPACE,) = re.findall(r"```space\n(.*?)```", PAGE, re.DOTALL)
(COMMAND,) = re.findall(r"```console\nonepath (.*?)\n```", PAGE, re.DOTALL)
(TABLE,) = re.findall(r"```\n(searched for .*?)```", PAGE, re.DOTALL)


def test_the_space_is_sound() -> None:
    source = Source("small.space", SPACE)
    assert analyse(source)[1] == []
    assert format_source(source) == SPACE


@pytest.mark.torch
def test_the_command_gives_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    written(tmp_path).write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, shlex.split(COMMAND))
    assert result.exit_code == 0, result.output
    assert result.stdout.replace("\N{NO-BREAK SPACE}", " ").startswith(TABLE)
    assert (tmp_path / "runs/small-targets/report.html").is_file()
