"""The benchmark of a known optimum trains, searches and compares; here with hardly any training."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/known_optimum.py"


@pytest.mark.torch
@pytest.mark.slow
def test_what_is_found_holds_the_cap_and_is_compared_with_the_best() -> None:
    pytest.importorskip("torch")
    short = ["--seeds", "1", "--truth-seeds", "1", "--truth-epochs", "1", "--epochs", "1"]
    command = [sys.executable, str(SCRIPT), *short, "--format", "json"]
    done = subprocess.run(command, cwd=SCRIPT.parents[1], capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    assert (answer["networks"], answer["holding_the_cap"]) == (36, 18)
    assert len(answer["accuracies"]) == 36
    rows = answer["strategies"]
    assert set(rows) == {"gradient, recompute", "gradient, two_path", "reinforce", "evolution", "random"}
    best = answer["constrained_optimum"]["accuracy"]
    for row in rows.values():
        (picks,), (regret,) = row["picks"], row["regret"]
        assert regret == pytest.approx(best - answer["accuracies"][picks], abs=1e-3)
        assert row["found"] == (regret <= answer["close"])
    assert done.returncode == (0 if all(row["found"] for row in rows.values()) else 1)
