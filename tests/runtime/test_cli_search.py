"""`onepath search` with several caps, on several targets, and with a front: no kernel is timed for any of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("torch")

from runtime.cli import app

pytestmark = pytest.mark.torch

SPACE = """
block layer(kernel) { conv(8, kernel) -> relu }
space small {
    input [1, 8, 8]
    output [10]
    conv(8, 3) -> relu -> choose { layer(1) | layer(3) | layer(5) | none: identity }
    -> choose { layer(1) | layer(3) | layer(5) | none: identity } -> global_pool -> linear(10)
}
target phone { latency_table = "phone.json" }
target watch { latency_table = "watch.json" }
search small {
    data = digits
    latency <= 8 ms on phone
    epochs = 2  warmup = 1  batch = 64  seed = 1
}
"""
STEM = "f32 nhwc (1x8x8) conv(%0, out=8, kernel=3); relu(%1)"
HEAD = "f32 nhwc (8x8x8) global_pool(%0); linear(%1, out=10)"


def table(device: str, times_ms: tuple[float, float, float]) -> str:
    entries = {STEM: 1.0, HEAD: 1.0}
    for kernel, time_ms in zip((1, 3, 5), times_ms, strict=True):
        entries[f"f32 nhwc (8x8x8) conv(%0, out=8, kernel={kernel}); relu(%1)"] = time_ms
    rows = {name: {"mean_ms": value} for name, value in entries.items()}
    return json.dumps({"schema": "onepath.block_latency/1", "device": device, "entries": rows})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "phone.json").write_text(table("a phone", (1.0, 2.0, 3.0)))
    (tmp_path / "watch.json").write_text(table("a watch", (3.0, 2.0, 1.0)))
    path = tmp_path / "small.space"
    path.write_text(SPACE)
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
