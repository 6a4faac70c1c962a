"""docs/run.md on seeing a run: its numbers are the code's, its command runs, the events it names are read."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.cli import app
from runtime.console import PLAIN_EVERY_S
from runtime.events import EventLog
from runtime.pace import WINDOW_S
from runtime.report.history import history_of

PAGE = (Path(__file__).resolve().parents[2] / "docs/run.md").read_text(encoding="utf-8")
NUMBERS = {10: "ten"}


def test_its_numbers_are_those_of_the_code() -> None:
    assert f"a line every {NUMBERS[int(PLAIN_EVERY_S)]} seconds" in PAGE
    assert f"the last {WINDOW_S:g} seconds' pace" in PAGE


def test_the_report_reads_the_events_it_names() -> None:
    rows = PAGE.partition("| picture | events")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", rows.partition("\n")[2]))
    costs = {"macs": 5.0}
    numbers = {"step": 1, "loss": 1.0, "accuracy": 0.5, "probability": 0.0, "threshold": 0.1, "left": 1}
    fields = {**numbers, "total_left": 1, "decision": "a", "label": "b", "probabilities": {"a": {"b": 1.0}}}
    networks = [{"picks": [0], "score": 0.5, "costs": costs}]
    events = [{"event": kind, **fields, "costs": costs, "networks": networks} for kind in sorted(named)]
    history = history_of(events)
    parts = (
        history.points,
        history.snapshots,
        history.pruned,
        history.evaluations,
        history.front,
        history.found,
    )
    assert all(parts)
    assert named == {
        "architecture",
        "epoch",
        "probabilities",
        "pruned",
        "evaluation",
        "finalist",
        "front",
        "result",
    }


def test_its_command_for_tensorboard_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    with EventLog(tmp_path / "runs/quickstart/train/train.jsonl") as log:
        log.append("epoch", step=1, loss=1.0)
    (line,) = re.findall(r"^onepath (tensorboard .*)$", PAGE, re.MULTILINE)
    assert CliRunner().invoke(app, shlex.split(line)).exit_code == 0
    assert (tmp_path / "boards/quickstart/train").is_dir()
