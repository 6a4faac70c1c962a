"""`onepath show`: the forms that programs read stay as they are, pictures go to files, mistakes get messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from runtime.cli import app

HERE = Path(__file__).parent
FILE = str(HERE / "picture" / "cell.space")


def show(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["show", *arguments])


def architecture(folder: Path) -> str:
    path = folder / "a.json"
    path.write_text(CliRunner().invoke(app, ["sample", FILE, "--seed", "1"]).stdout)
    return str(path)


@pytest.mark.parametrize("form", ["text", "dot", "json"])
def test_forms_for_programs_are_as_they_were(form: str, golden: Callable[[str, str], None]) -> None:
    golden(f"picture/small.{form}", show(FILE, "--format", form).stdout)


def test_a_picture_of_a_network_marks_it(tmp_path: Path) -> None:
    plain = show(FILE, "--format", "svg")
    marked = show(FILE, "--format", "svg", "--arch", architecture(tmp_path))
    assert (plain.exit_code, marked.exit_code) == (0, 0)
    assert "chosen" not in plain.stdout.partition("</style>")[2]
    assert "This network: " in marked.stdout
    ElementTree.fromstring(marked.stdout)


def test_a_picture_goes_to_a_file(tmp_path: Path) -> None:
    out = tmp_path / "small.html"
    result = show(FILE, "--format", "html", "--out", str(out))
    assert (result.exit_code, result.stdout) == (0, "")
    assert out.read_text().startswith("<!doctype html>")
    assert [path.name for path in out.parent.iterdir()] == ["small.html"]


def test_probabilities_are_marked(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    body = {
        "schema": "onepath.probabilities/1",
        "space": "small",
        "probabilities": {"kernel": {"3": 0.1, "5": 0.9}},
    }
    path.write_text(json.dumps(body))
    result = show(FILE, "--format", "html", "--probabilities", str(path))
    assert result.exit_code == 0, result.output
    assert "90.0 %" in result.stdout
    assert "Probabilities of p.json" in result.stdout


BAD = {
    "no such file": ["nowhere.space", "--format", "svg"],
    "no picture to mark": [FILE, "--probabilities", "."],
    "a folder without a search": [FILE, "--format", "svg", "--probabilities", "TMP"],
    "no such probabilities": [FILE, "--format", "svg", "--probabilities", "TMP/nothing.json"],
    "probabilities of another space": [FILE, "--format", "svg", "--probabilities", "TMP/p.json"],
    "no architecture": [FILE, "--format", "html", "--arch", "TMP/p.json"],
    "no place to write": [FILE, "--format", "svg", "--out", "TMP/p.json/x.svg"],
}


@pytest.mark.parametrize("name", BAD)
def test_mistakes_get_messages(name: str, tmp_path: Path) -> None:
    body = {"schema": "onepath.probabilities/1", "space": "small", "probabilities": {"other": {"a": 1}}}
    (tmp_path / "p.json").write_text(json.dumps(body))
    result = show(*[word.replace("TMP", str(tmp_path)) for word in BAD[name]])
    assert result.exit_code == 2, result.output
    assert result.output.strip()
    assert "Traceback" not in result.output
    assert "defect" not in result.output
