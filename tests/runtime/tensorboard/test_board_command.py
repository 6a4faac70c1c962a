"""`onepath tensorboard`: a run folder in, event files out, for people who may not have the package."""

from __future__ import annotations

from pathlib import Path

import pytest
from event_points import log_epochs, points
from typer.testing import CliRunner, Result

from runtime.cli import app

pytest.importorskip("tensorboard")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["tensorboard", *arguments])


def test_a_run_folder_becomes_event_files(tmp_path: Path) -> None:
    log_epochs(tmp_path, range(1, 4))
    result = call(str(tmp_path))
    assert (result.exit_code, result.stdout) == (0, f"3 events in {tmp_path / 'tensorboard'}\n")
    assert f"tensorboard --logdir {tmp_path / 'tensorboard'}" in result.stderr
    assert call(str(tmp_path), "--out", str(tmp_path / "board")).exit_code == 0
    assert len(points(tmp_path / "board/train", "epoch/loss")) == 3


def test_a_running_folder_is_followed_until_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        log_epochs(tmp_path, range(1, 4))
        raise KeyboardInterrupt

    monkeypatch.setattr("runtime.cli.board._until_interrupted", interrupted)
    assert call(str(tmp_path), "--follow").exit_code == 130
    assert len(points(tmp_path / "tensorboard/train", "epoch/loss")) == 3


def test_what_cannot_be_shown_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is no run folder" in call(str(tmp_path / "nowhere")).output
    empty = call(str(tmp_path))
    assert (empty.exit_code, "has logged no search and no training yet" in empty.output) == (2, True)
    log_epochs(tmp_path, range(1, 2))
    monkeypatch.setattr("runtime.tensorboard.files.find_spec", lambda name: None)
    absent = call(str(tmp_path))
    assert (absent.exit_code, "pip install 'onepath[tensorboard]'" in absent.output) == (2, True)
