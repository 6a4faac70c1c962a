"""A log survives a torn line, and a checkpoint's state comes back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from runtime.checkpoint import KEPT, State, load_checkpoint, save_checkpoint  # noqa: E402
from runtime.events import EventLog, Tail, read_events  # noqa: E402
from runtime.files import FileProblem  # noqa: E402

pytestmark = pytest.mark.torch


def write(path: Path, count: int) -> None:
    with EventLog(path) as log:
        for number in range(count):
            log.append("tick", number=number, share=number / 3)


def numbers(path: Path) -> list[int]:
    return [event["number"] for event in read_events(path)]


def test_every_torn_end_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, 3)
    whole = path.read_bytes()
    second = whole[:-1].rfind(b"\n") + 1
    for cut in range(second + 1, len(whole)):
        path.write_bytes(whole[:cut])
        assert numbers(path) == [0, 1]
        write(path, 1)
        assert numbers(path) == [0, 1, 0]


def test_a_damaged_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, 3)
    path.write_bytes(path.read_bytes().replace(b'"number": 1', b'"number": 7'))
    with pytest.raises(FileProblem, match="line 2 is damaged"):
        numbers(path)


def test_a_log_is_cut_back_but_never_guessed(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, 2)
    size = path.stat().st_size
    write(path, 1)
    with EventLog(path) as log:
        log.truncate(size)
        with pytest.raises(FileProblem, match="lacks events"):
            log.truncate(size + 1)
    assert numbers(path) == [0, 1]


def test_a_tail_gives_each_event_once(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    tail = Tail(path)
    assert tail.read() == (False, [])
    write(path, 2)
    anew, events = tail.read()
    assert (anew, [event["number"] for event in events]) == (False, [0, 1])
    assert tail.read() == (False, [])
    with path.open("ab") as file:
        file.write(b'{"event": "tick", "num')
    assert tail.read() == (False, [])
    write(path, 1)
    assert [event["number"] for event in tail.read()[1]] == [0]


def test_a_tail_reads_a_log_again_that_was_cut_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    write(path, 2)
    size = path.stat().st_size
    write(path, 3)
    tail = Tail(path)
    tail.read()
    monkeypatch.setattr("runtime.events.time.time", lambda: 1e9)
    with EventLog(path) as log:
        log.truncate(size)
        for number in range(4):
            log.append("tick", number=number, share=number / 3)
    anew, events = tail.read()
    assert (anew, [event["number"] for event in events]) == (True, [0, 1, 0, 1, 2, 3])
    path.unlink()
    assert tail.read() == (True, [])


def test_a_tail_refuses_a_damaged_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, 2)
    tail = Tail(path)
    tail.read()
    with path.open("ab") as file:
        file.write(b"damaged\n")
    assert tail.read() == (False, [])
    with path.open("ab") as file:
        file.write(b"more\n")
    with pytest.raises(FileProblem, match="line 3 is damaged"):
        tail.read()


def test_checkpoints_come_back_and_the_last_two_stay(tmp_path: Path) -> None:
    weights = torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, State({"weights/a": weights + step}, {"sums": [0.1, 1 / 3]}))
    assert len(list(tmp_path.iterdir())) == KEPT
    found = load_checkpoint(tmp_path)
    assert found is not None
    step, state, messages = found
    assert (step, state.numbers, messages) == (3, {"sums": [0.1, 1 / 3]}, ())
    assert torch.equal(state.tensors["weights/a"], weights + 3)


def test_a_damaged_checkpoint_is_never_used(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    for step in (1, 2):
        save_checkpoint(tmp_path, step, State({"a": torch.ones(50) * step}, {}))
    older, newer = sorted(tmp_path.iterdir())
    for place in range(0, newer.stat().st_size, 17):
        content = bytearray(newer.read_bytes())
        content[place] ^= 0x10
        newer.write_bytes(bytes(content))
        found = load_checkpoint(tmp_path)
        assert found is not None
        assert found[0] == 1
        assert len(found[2]) == 1
        content[place] ^= 0x10
        newer.write_bytes(bytes(content))
    older.unlink()
    newer.write_bytes(newer.read_bytes()[:-1])
    with pytest.raises(FileProblem, match="no sound checkpoint"):
        load_checkpoint(tmp_path)
