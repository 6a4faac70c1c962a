"""The benchmark of NAS-Bench-Macro tells exact from not exact, and says where it has no data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/nas_bench_macro.py"
SMALLEST = {"params": 387_882, "flops": 7_713_280}
"""Counted by hand: the stem, a 1x1 convolution where a stage begins, the last two layers."""


def run(data: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--data", str(data), "--format", "json"]
    return subprocess.run(command, cwd=SCRIPT.parents[1], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("wrong", "code"), [({}, 0), ({"flops": 1}, 1)])
def test_counts_what_is_exact(wrong: dict[str, int], code: int, tmp_path: Path) -> None:
    data = tmp_path / "data.json"
    data.write_text(json.dumps({"00000000": {**SMALLEST, **wrong}}))
    done = run(data)
    answer = json.loads(done.stdout)
    assert done.returncode == code
    assert (answer["networks"], answer["exact_params"], answer["exact_macs"]) == (1, 1, 1 - code)


def test_says_that_there_is_no_data(tmp_path: Path) -> None:
    done = run(tmp_path / "none.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "give their place with --data" in done.stderr
