"""Probabilities come from a run folder, finished or not, or from a file; anything else is a message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.events import EventLog
from runtime.files import FileProblem, write_json
from runtime.picture.probabilities import read_probabilities

SHARES = {"cell": {"one": 0.25, "two": 0.75}}


def write(path: Path, **body: Any) -> Path:
    path.write_text(json.dumps({"schema": "onepath.probabilities/1", "space": "small", **body}))
    return path


def test_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", probabilities=SHARES)
    given = read_probabilities(path, "small")
    assert given.shares == SHARES
    assert given.source == "Probabilities of p.json"


def test_a_finished_search(tmp_path: Path) -> None:
    write_json(tmp_path / "search" / "result.json", {"probabilities": SHARES, "steps": 4}, "onepath.search/1")
    assert read_probabilities(tmp_path, "small").shares == SHARES


def test_a_search_under_way_gives_its_last_ones(tmp_path: Path) -> None:
    with EventLog(tmp_path / "search" / "search.jsonl") as log:
        log.append("probabilities", step=1, probabilities={"cell": {"one": 0.5, "two": 0.5}})
        log.append("epoch", step=5)
        log.append("probabilities", step=9, probabilities=SHARES)
    given = read_probabilities(tmp_path, "small")
    assert given.shares == SHARES
    assert "after step 9" in given.source


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"probabilities": SHARES, "space": "other"}, "is of space `other`, not of `small`"),
        ({"probabilities": SHARES, "schema": "onepath.probabilities/2"}, "version"),
        ({"probabilities": SHARES, "schema": "onepath.architecture/1"}, "is of schema"),
        ({}, "holds no `probabilities`"),
        ({"probabilities": {"cell": 3}}, "`cell` has no probabilities by candidate"),
        ({"probabilities": {"cell": {}}}, "`cell` has no probabilities by candidate"),
        ({"probabilities": {"cell": {"one": "half"}}}, "half is no probability"),
        ({"probabilities": {"cell": {"one": True}}}, "True is no probability"),
        ({"probabilities": {"cell": {"one": -1}}}, "-1 is no probability"),
        ({"probabilities": {"cell": {"one": 1e999}}}, "JSON"),
    ],
)
def test_files_that_are_none(tmp_path: Path, body: dict[str, Any], said: str) -> None:
    with pytest.raises(FileProblem) as problem:
        read_probabilities(write(tmp_path / "p.json", **body), "small")
    assert said in str(problem.value)
    assert "p.json" in str(problem.value)


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="holds no search"):
        read_probabilities(tmp_path, "small")
    with EventLog(tmp_path / "search" / "search.jsonl") as log:
        log.append("epoch", step=1)
    with pytest.raises(FileProblem, match="holds no probabilities yet"):
        read_probabilities(tmp_path, "small")
