"""`onepath arch`, and what `count` and `sample` can be asked, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runtime.cli import app

SPACE = """space it {
    input [3, 8, 8]
    output [10]
    choose { wide: conv(choose(8, 16), 3) -> conv(3, 1) | relu } -> add choose 1..2 of { bn | relu }
    -> global_pool -> linear(10)

    require params <= 400
}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("it.space").write_text(SPACE, encoding="utf-8")
    return "it.space"


def run(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(app, arguments, input=given)


def lines(*arguments: str, given: str = "") -> list[dict[str, object]]:
    result = run(*arguments, given=given)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def written(choices: dict[str, object]) -> str:
    document = {"schema": "onepath.architecture/1", "space": "it", "choices": choices}
    Path("a.json").write_text(json.dumps(document), encoding="utf-8")
    return "a.json"


def test_list_is_every_architecture_once(file: str) -> None:
    found = lines("arch", "list", file)
    assert len(found) == 9 == len({json.dumps(each) for each in found})
    assert found[:2] == lines("arch", "list", file, "--limit", "2")
    assert json.loads(run("count", file, "--format", "json").stdout)["size"] == "9"


def test_count_and_draw_what_keeps_the_limits(file: str) -> None:
    assert "6 feasible networks" in run("count", file, "--feasible").stdout
    drawn = lines("sample", file, "--feasible", "-n", "20", "--seed", "3")
    assert len(drawn) == 20
    assert all(each["choices"].get("wide.out") != 16 for each in drawn)  # type: ignore[attr-defined]


def test_count_under_choices(file: str) -> None:
    assert "6 networks" in run("count", file, "--with", "path=wide").stdout
    assert "2 networks" in run("count", file, "--with", "path2={bn, relu}", "--with", "path=wide").stdout
    wrong = run("count", file, "--with", "path=wyde")
    assert wrong.exit_code == 2
    assert "options are" in wrong.stderr


def test_validate_says_what_is_wrong(file: str) -> None:
    sound = written({"path": "relu", "path2": ["relu", "bn"]})
    assert run("arch", "validate", file, sound).exit_code == 0
    for choices, words in (
        ({"path": "relu"}, "`path2`: no choice"),
        ({"path": "relu", "path2": "bn"}, "is no option"),
        ({"path": "relu", "path2": ["bn", "bn"]}, "is no option"),
        ({"path": "relu", "path2": ["bn"], "wide.out": 8}, "not reached"),
        ({"path": "relu", "path2": ["bn"], "pat": 8}, "no such decision"),
    ):
        result = run("arch", "validate", file, written(choices))
        assert result.exit_code == 1
        assert words in result.stderr
    over = run(
        "arch", "validate", file, written({"path": "wide", "wide.out": 16, "path2": ["bn"]}), "--feasible"
    )
    assert over.exit_code == 1
    assert "params is" in over.stderr


@pytest.mark.parametrize("form", ["index", "one_hot"])
def test_vectors_go_both_ways(file: str, form: str) -> None:
    for architecture in lines("arch", "list", file):
        Path("a.json").write_text(json.dumps(architecture), encoding="utf-8")
        vector = run("arch", "encode", file, "a.json", "--form", form).stdout
        assert lines("arch", "decode", file, "--form", form, given=vector) == [architecture]


@pytest.mark.parametrize("vector", ["[0, 0]", "[9, 0, 0]", "[1, 0, 0]", '["a"]', "{}", "[" * 10_000])
def test_vectors_that_are_none_are_refused(file: str, vector: str) -> None:
    result = run("arch", "decode", file, given=vector)
    assert result.exit_code == 2
    assert "defect" not in result.stderr


def test_relatives(file: str) -> None:
    parent = written({"path": "relu", "path2": ["bn"]})
    assert len(lines("arch", "neighbours", file, parent)) == 2 + 2
    mutants = lines("arch", "mutate", file, parent, "-n", "5", "--seed", "1")
    assert mutants == lines("arch", "mutate", file, parent, "-n", "5", "--seed", "1")
    Path("b.json").write_text(json.dumps(lines("sample", file, "--seed", "2")[0]), encoding="utf-8")
    everything = lines("arch", "list", file)
    assert all(
        each in everything
        for each in [*mutants, *lines("arch", "crossover", file, parent, "b.json", "-n", "5")]
    )
