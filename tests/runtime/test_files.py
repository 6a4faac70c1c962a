"""Files are whole or absent, changed ones are refused, and a folder has one writer."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.files import (
    FileProblem,
    folder_lock,
    read_json,
    read_tensors,
    write_atomic,
    write_json,
    write_tensors,
)

SCHEMA = "onepath.thing/1"


def _failing(call: Callable[..., Any], code: int) -> Callable[..., Any]:
    def fail(*arguments: Any, **settings: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    path = write_json(tmp_path / "a.json", {"x": 1}, SCHEMA)
    monkeypatch.setattr(f"runtime.files.os.{step}", _failing(os.open, code))
    with pytest.raises(FileProblem, match="cannot be written"):
        write_json(path, {"x": 2}, SCHEMA)
    monkeypatch.undo()
    assert read_json(path, SCHEMA) == {"x": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_json_reads_back_equal(tmp_path: Path) -> None:
    payload = {"b": [1, 2.5, None], "a": {"ü": "x"}}
    assert read_json(write_json(tmp_path / "sub" / "a.json", payload, SCHEMA), SCHEMA) == payload


def test_every_flip_of_a_checked_file_is_refused_or_harmless(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", {"latency_ms": 1.25, "name": "conv"}, SCHEMA)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with suppress(FileProblem):
            assert read_json(path, SCHEMA) == {"latency_ms": 1.25, "name": "conv"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("[1]", "no JSON object"),
        ("{}", "states no schema"),
        ('{"schema": "onepath.thing/0"}', "version 0 of onepath.thing"),
        ('{"schema": "onepath.other/1"}', "not onepath.thing/1"),
        ('{"schema": "onepath.thing/1", "x": NaN}', "NaN"),
        ('{"schema": "onepath.thing/1"}', "checksum fails"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = write_atomic(tmp_path / "a.json", text)
    with pytest.raises(FileProblem, match=message):
        read_json(path, SCHEMA)


def test_a_file_for_people_carries_no_checksum(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", {"x": 1}, SCHEMA, checksum=False)
    assert json.loads(path.read_text()) == {"schema": SCHEMA, "x": 1}
    path.write_text(path.read_text().replace("1\n", "2\n"))
    assert read_json(path, SCHEMA, checksum=False) == {"x": 2}


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    for read in (read_json, read_tensors):
        with pytest.raises(FileProblem, match="does not exist"):
            read(tmp_path / "no", SCHEMA)


def test_tensors_read_back_and_flips_are_refused(tmp_path: Path) -> None:
    tensors = {"b.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array(3, dtype=np.int64)}
    path = write_tensors(tmp_path / "w.safetensors", tensors, metadata={"epoch": "3"})
    read, notes = read_tensors(path)
    assert notes == {"epoch": "3"}
    assert all(
        np.array_equal(read[name], tensors[name]) and read[name].shape == tensors[name].shape
        for name in tensors
    )
    whole = path.read_bytes()
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(FileProblem):
            read_tensors(path)
    path.write_bytes(whole[:-3])
    with pytest.raises(FileProblem, match="no whole"):
        read_tensors(path)


def _hold(folder: Path, ready: Any) -> None:
    with folder_lock(folder):
        ready.set()
        time.sleep(30)


def test_a_second_writer_is_refused_and_a_dead_one_succeeded(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(20)
    start = time.monotonic()
    with pytest.raises(FileProblem, match=f"in use by process {process.pid} on "), folder_lock(tmp_path):
        pass
    assert time.monotonic() - start < 2
    process.kill()
    process.join()
    said: list[str] = []
    with folder_lock(tmp_path, said.append):
        pass
    assert f"process {process.pid}" in said[0]
    assert "takes over" in said[0]
    with folder_lock(tmp_path, said.append):
        pass
    assert len(said) == 1


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    litter = [".a.json.01234567.tmp", "search/checkpoints/.b.safetensors.89abcdef.tmp"]
    kept = [".mine.tmp", "a.tmp", "inner/.onepath.lock", "inner/.c.json.01234567.tmp", "one/two/three/d.json"]
    for name in litter + kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    with folder_lock(tmp_path):
        assert not any((tmp_path / name).exists() for name in litter)
        assert all((tmp_path / name).exists() for name in kept)


def test_equal_tensors_have_equal_bytes(tmp_path: Path) -> None:
    tensors = {name: np.arange(5, dtype=np.float32) for name in "cab"}
    notes = {name: name for name in "qwertyuiop"}
    paths = [write_tensors(tmp_path / f"{index}.safetensors", tensors, metadata=notes) for index in range(8)]
    assert len({path.read_bytes() for path in paths}) == 1
    assert read_tensors(paths[0])[1] == notes
