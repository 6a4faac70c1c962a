"""`onepath search` with several caps, on several targets, and with a front: no kernel is timed for any of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
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


def search(file: Path, *settings: str, options: Sequence[str] = (), form: str = "json") -> Result:
    arguments = ["search", str(file), "--out", str(file.parent / "run"), "--format", form, *options]
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
    result = search(file, options=("--front", "5"))
    assert result.exit_code == 0, result.output
    answer = json.loads((file.parent / "run/search/result.json").read_text())
    told = [(each["latency on phone"], each["score"]) for each in json.loads(result.stdout)["front"]]
    rows = [(each["costs"]["latency on phone"], each["score"]) for each in answer["front"]]
    assert 1 <= len(rows) <= 5
    assert rows == sorted(rows) == told
    assert [score for _, score in rows] == sorted({score for _, score in rows})
    assert all((file.parent / "run" / each["architecture"]).is_file() for each in answer["front"])


def test_a_front_is_shown_as_a_table(file: Path) -> None:
    result = search(file, "strategy = evolution(population = 4)", options=("--front", "3"), form="text")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    at = lines.index("front")
    front = json.loads((file.parent / "run/search/result.json").read_text())["front"]
    header, *rows = [line.split() for line in lines[at + 1 :]]
    assert (header[0], header[-1]) == ("score", "architecture")
    assert [row[-1].rpartition("/front/")[2] for row in rows] == [
        f"{number}.json" for number in range(1, len(front) + 1)
    ]


def test_a_front_wants_a_search_and_more_than_one_path(file: Path) -> None:
    given = search(file, options=("--front", "3", "--arch", "any.json"))
    assert given.exit_code == 2
    assert "--front needs a search" in given.output
    pruned = search(file, "prune = progressive", options=("--front", "3"))
    assert pruned.exit_code == 2
    assert "pruning leaves one network" in pruned.output
    assert search(file, options=("--front", "0")).exit_code == 2
    assert not (file.parent / "run/search").exists()


@pytest.mark.parametrize("strategy", ["gradient(every = 2)", "random(samples = 3)"])
def test_a_search_for_sizes_alone_times_no_kernel(tmp_path: Path, strategy: str) -> None:
    path = tmp_path / "sized.space"
    path.write_text(SPACE + SEARCH.replace("latency <= 8 ms on phone", "macs <= 100000"))
    result = search(path, f"strategy = {strategy}", "front = 3")
    assert result.exit_code == 0, result.output
    assert found(path)["macs"] <= 100_000
    assert "latency on host" not in found(path)
    assert not (tmp_path / "run/latency").exists()


def test_a_floor_on_the_peak_says_nothing_of_what_can_be_reached(file: Path) -> None:
    result = search(file, "peak_memory >= 1e12")
    assert result.exit_code == 1
    assert "no network of the space has peak_memory >= 1e+12 bytes; loosen it" in " ".join(
        result.output.split()
    )
