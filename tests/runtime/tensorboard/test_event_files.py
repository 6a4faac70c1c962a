"""Event files, read back as TensorBoard reads them: each point once, through a resume and a second writing."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from event_points import log_epochs, points, read

from runtime.events import EventLog
from runtime.files import FileProblem
from runtime.tensorboard.files import NoTensorBoard
from runtime.tensorboard.follow import Feed, convert, followed

pytest.importorskip("tensorboard")


def test_points_are_at_their_steps_and_times(tmp_path: Path) -> None:
    log_epochs(tmp_path, range(1, 4))
    assert convert(tmp_path, tmp_path / "out") == 3
    assert points(tmp_path / "out/train", "epoch/loss") == [(1, 1.0), (2, 0.5), (3, 0.333333)]
    assert not (tmp_path / "out/search").exists()


def test_writing_twice_gives_each_point_once(tmp_path: Path) -> None:
    for _ in range(2):
        log_epochs(tmp_path, range(1, 3))
    (tmp_path / "out/train").mkdir(parents=True)
    (tmp_path / "out/train/events.out.tfevents.1.another").write_bytes(b"of another program")
    for _ in range(2):
        convert(tmp_path, tmp_path / "out")
    another = tmp_path / "out/train/events.out.tfevents.1.another"
    assert another.read_bytes() == b"of another program"
    another.unlink()
    assert len(points(tmp_path / "out/train", "epoch/loss")) == 4


def test_a_resume_that_cuts_the_log_back_leaves_no_point_twice(tmp_path: Path) -> None:
    log_epochs(tmp_path, range(1, 3))
    size = (tmp_path / "train/train.jsonl").stat().st_size
    log_epochs(tmp_path, range(3, 6))
    feed = Feed(tmp_path, tmp_path / "out")
    assert feed.pull() == 5
    open_before = read(tmp_path / "out/train")
    with EventLog(tmp_path / "train/train.jsonl") as log:
        log.truncate(size)
    assert feed.pull() == 2
    log_epochs(tmp_path, range(3, 5))
    assert feed.pull() == 2
    feed.close()
    assert [step for step, _ in points(tmp_path / "out/train", "epoch/loss")] == [1, 2, 3, 4]
    # A TensorBoard that had the old file open forgets its points at the mark of the new session.
    assert [event.step for event in open_before.Reload().Scalars("epoch/loss")] == [1, 2, 3, 4]


def test_probabilities_come_with_a_chart_for_each_decision(tmp_path: Path) -> None:
    with EventLog(tmp_path / "search/search.jsonl") as log:
        log.append("plan", steps=2)
        for step in (1, 2):
            log.append("probabilities", step=step, probabilities={"a[0].b": {"k=3": 1 / step, "skip": 0.0}})
        log.append("result", step=2, feasible=True)
    convert(tmp_path, tmp_path / "out")
    found = read(tmp_path / "out/search")
    assert points(tmp_path / "out/search", "probabilities/a[0].b/k=3") == [(1, 1.0), (2, 0.5)]
    assert [event.step for event in found.Tensors("result")] == [2]
    assert b"| steps | 2 |" in found.Tensors("plan")[0].tensor_proto.string_val[0]
    assert found.PluginTagToContent("custom_scalars") == {"custom_scalars__config__": b""}
    (layout,) = found.Tensors("custom_scalars__config__")
    assert rb"^probabilities/a\[0\]\.b/" in layout.tensor_proto.string_val[0]


def test_what_is_logged_while_a_run_goes_on_is_there_at_its_end(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), followed(tmp_path, tmp_path / "out", pytest.fail, every_s=600):
        log_epochs(tmp_path, range(1, 4))
        raise KeyboardInterrupt
    assert len(points(tmp_path / "out/train", "epoch/loss")) == 3


def test_a_problem_with_the_files_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    with followed(tmp_path, tmp_path / "out", said.append, every_s=600):
        (tmp_path / "out/train").write_text("a file, no folder")
        log_epochs(tmp_path, range(1, 4))
    assert len(said) == 1
    assert "nothing more is written for TensorBoard" in said[0]


def test_a_damaged_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train/train.jsonl").write_text("damaged\nmore\n")
    with pytest.raises(FileProblem, match="line 1 is damaged"):
        convert(tmp_path, tmp_path / "out")


def test_without_the_package_the_way_to_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.tensorboard.files.find_spec", lambda name: None)
    with pytest.raises(NoTensorBoard, match=r"pip install 'onepath\[tensorboard\]'"):
        convert(tmp_path, tmp_path / "out")
