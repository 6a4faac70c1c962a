"""Files that commands write where a person says: only a file of the same kind is replaced, and none that is read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.cli import app

SPACE = "space s { input [1, 8, 8]  output [4]  conv(choose(4, 8), 3) -> global_pool -> linear(4) }\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "s.space"
    path.write_text(SPACE)
    return path


def call(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.output


@pytest.mark.parametrize("form", ["text", "dot", "json", "svg", "html"])
def test_a_picture_replaces_its_own_kind_and_nothing_else(form: str, file: Path, tmp_path: Path) -> None:
    out = tmp_path / f"graph.{form}"
    for _ in range(2):
        assert call("show", file, "--format", form, "--out", out)[0] == 0
    out.write_text("precious")
    code, said = call("show", file, "--format", form, "--out", out)
    assert (code, out.read_text()) == (2, "precious")
    assert "is there already and is not" in said


def test_the_source_is_not_written_over(file: Path) -> None:
    code, said = call("show", file, "--out", file)
    assert (code, file.read_text()) == (2, SPACE)
    assert "belongs to what this command reads" in said


def test_the_fastest_network_is_not_written_over_something_else(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "notes.json"
    out.write_text(json.dumps({"mine": 1}))
    code, said = call("cost", file, "--table", tmp_path / "none.json", "--fastest", out)
    assert (code, json.loads(out.read_text())) == (2, {"mine": 1})
    assert "is not an architecture file" in said


def test_a_closed_standard_output_is_no_defect(file: Path) -> None:
    command = f"{sys.executable} -P -m runtime count {file} >&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert "Traceback" not in done.stderr
