"""A search under a cap on a device that is not here: its times come from a table, nothing is profiled or built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runtime.cli import app

pytest.importorskip("sklearn")
pytestmark = pytest.mark.torch

TEXT = """
space small {
    input [1, 8, 8]
    output [10]
    conv(8, 3) -> bn -> relu
    -> conv(8, choose(3, 5)) -> bn -> relu -> global_pool -> linear(10)
}
target phone { latency_table = "phone.json" }
search small { data = digits  latency <= 4 ms on phone  epochs = 1  warmup = 0  batch = 256 }
"""
STEM = "conv(%0, out=8, kernel=3, bias=true); relu(%1)"
TIMES_MS = {
    f"f32 nhwc (1x8x8) {STEM}": 1.0,
    f"f32 nhwc (8x8x8) {STEM}": 1.5,
    f"f32 nhwc (8x8x8) {STEM.replace('kernel=3', 'kernel=5')}": 9.0,
    "f32 nhwc (8x8x8) global_pool(%0); linear(%1, out=10)": 0.5,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    entries = {text: {"mean_ms": time} for text, time in TIMES_MS.items()}
    table = {"schema": "onepath.block_latency/1", "device": "a phone", "entries": entries}
    (tmp_path / "phone.json").write_text(json.dumps(table))
    (tmp_path / "small.space").write_text(TEXT)
    return tmp_path / "small.space"


def onepath(command: str, file: Path, *more: str) -> Result:
    out = str(file.parent / "run")
    return CliRunner().invoke(app, [command, str(file), "--out", out, "--format", "json", *more])


def test_the_cap_holds_by_the_table(file: Path) -> None:
    result = onepath("search", file)
    assert result.exit_code == 0, result.output
    derived = json.loads(onepath("derive", file).stdout)
    assert derived["latency_predicted_ms"] == 1.0 + 1.5 + 0.5
    assert not (file.parent / "run/latency").exists()


def test_a_changed_table_makes_the_search_anew(file: Path) -> None:
    assert onepath("search", file).exit_code == 0
    (file.parent / "phone.json").write_text((file.parent / "phone.json").read_text().replace("1.5", "9.5"))
    result = onepath("search", file)
    assert result.exit_code == 1
    assert "10.5" in result.output


def test_nothing_can_be_built(file: Path) -> None:
    result = onepath("profile", file)
    assert result.exit_code == 2
    assert "nothing is tuned, built or measured on it" in result.output
