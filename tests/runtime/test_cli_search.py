"""`onepath search` with several caps, on several targets, and with a front: no kernel is timed for any of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("torch")

from runtime.cli import app
from tests.runtime.specialise.targets_space import SPACE, table

pytestmark = pytest.mark.torch

SEARCH = """
search small {
    data = digits
    latency <= 8 ms on phone
    epochs = 2  warmup = 1  batch = 64  seed = 1
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "phone.json").write_text(table("a phone", (1.0, 2.0, 3.0)))
    (tmp_path / "watch.json").write_text(table("a watch", (3.0, 2.0, 1.0)))
    path = tmp_path / "small.space"
    path.write_text(SPACE + SEARCH)
    return path


def search(file: Path, *settings: str) -> Result:
    arguments = ["search", str(file), "--out", str(file.parent / "run"), "--format", "json"]
    for setting in settings:
        arguments += ["--set", setting]
    return CliRunner().invoke(app, arguments)


def found(file: Path) -> dict[str, float]:
    result = json.loads((file.parent / "run/search/result.json").read_text())
    return {name: float(value) for name, value in result["costs"].items()}


@pytest.mark.parametrize(
    "strategy", ["gradient(every = 2)", "reinforce(samples = 3)", "evolution(population = 4)"]
)
def test_one_network_holds_caps_on_two_targets(file: Path, strategy: str) -> None:
    caps = ("latency <= 5 ms on phone", "latency <= 5 ms on watch", "macs >= 40000", f"strategy = {strategy}")
    result = search(file, *caps)
    assert result.exit_code == 0, result.output
    costs = found(file)
    assert costs["latency on phone"] <= 5
    assert costs["latency on watch"] <= 5
    assert costs["macs"] >= 40_000


def test_what_cannot_be_held_together_is_told_before_the_search(file: Path) -> None:
    result = search(file, "latency <= 3 ms on watch", "macs >= 150000")
    assert result.exit_code != 0
    assert "among those that hold the other caps" in result.output
    alone = search(file, "macs >= 1e9")
    assert "no network of the space has macs >= 1e+09: what can be reached is" in alone.output
    assert not (file.parent / "run/search/search.jsonl").exists()


def test_a_front_is_networks_that_none_beats(file: Path) -> None:
    result = search(file, "front = 5")
    assert result.exit_code == 0, result.output
    answer = json.loads((file.parent / "run/search/result.json").read_text())
    rows = [(each["costs"]["latency on phone"], each["score"]) for each in answer["front"]]
    assert 1 <= len(rows) <= 5
    assert rows == sorted(rows)
    assert [score for _, score in rows] == sorted({score for _, score in rows})
    assert all((file.parent / "run" / each["architecture"]).is_file() for each in answer["front"])
