"""The benchmark of searches by a table: what it prints and draws, and that it says where it has no data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/table_search.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=SCRIPT.parents[1], capture_output=True, text=True, check=False)


@pytest.mark.torch
def test_what_learns_beats_random_on_the_real_table(shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    plot = tmp_path / "regret.svg"
    data = shared_data / "nas_bench_macro/nas-bench-macro_cifar10.json"
    done = run("--data", str(data), "--seeds", "2", "--format", "json", "--plot", str(plot))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["networks"], answer["close_networks"], answer["seeds"]) == (6561, 9, [0, 1])
    rows = answer["strategies"]
    assert [rows[name]["found"] for name in ("evolution", "reinforce")] == [2, 2]
    assert rows["random"]["median_regret"]["300"] > rows["evolution"]["median_regret"]["300"]
    names = [text.text for text in ElementTree.parse(plot).iter() if text.tag.endswith("text")]
    assert {"random", "evolution", "reinforce"} <= set(names)


def test_says_that_there_is_no_data(tmp_path: Path) -> None:
    done = run("--data", str(tmp_path / "none.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--data names the published figures" in done.stderr


def test_refuses_a_plot_that_it_cannot_write_before_it_searches(tmp_path: Path) -> None:
    done = run("--plot", str(tmp_path / "plot.png"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "ends in .svg" in done.stderr
