"""What docs/pictures.md shows works: its commands run, and its file of probabilities fits the space that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from compiler.picture import decisions, folding, space, table
from runtime.cli import app
from runtime.picture import figure

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/pictures.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^onepath (show .*)$", PAGE, re.MULTILINE)
QUICKSTART = str(ROOT / "examples/quickstart.space")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_run(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [str(ROOT / word) if word.startswith("examples/") else word for word in shlex.split(command)]
    monkeypatch.chdir(tmp_path)
    Path("architecture.json").write_text(call("sample", words[1]).stdout)
    Path("probabilities.json").write_text(
        '{"schema": "onepath.probabilities/1", "space": "proxyless_mobile", "probabilities": {}}'
    )
    result = call(*words)
    assert result.exit_code == 0, result.output
    assert Path(words[-1]).stat().st_size > 50_000


def test_its_probabilities_fit_their_space(tmp_path: Path) -> None:
    (text,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "p.json"
    path.write_text(text)
    result = call("show", QUICKSTART, "--format", "svg", "--probabilities", str(path))
    assert result.exit_code == 0, result.output
    assert "40.0 %" in result.stdout


def test_its_numbers_are_those_of_the_code() -> None:
    said = set(re.findall(r"\d[\d,]*", PAGE))
    caps = (
        decisions.CELLS_CAP, decisions.OPTIONS_CAP, folding.FIXED_FROM, space.BOXES_CAPS[0], space.INNER_BOXES_CAP,
        int(space.WIDTH_CAP), table.OPTIONS_CAP, table.ROWS_CAP, figure.FLATTENED_OPERATORS_CAP,
        figure.FLATTENED_DECISIONS_CAP,
    )  # fmt: skip
    assert {f"{cap:,}" for cap in caps} <= said
