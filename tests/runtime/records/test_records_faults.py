"""What is acknowledged survives kills, full disks and other writers; damage is named, and what is whole is saved."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from runtime.records import PriceRecord, Record, Records, RecordsProblem, salvage
from runtime.records.connection import LOG
from runtime.records.tables import MEASUREMENT
from tests.runtime.records.rows import KEY, of_first_version, record, relu
from tests.runtime.records.writers import (
    fill,
    migrate,
    rest_of,
    started,
    take_all,
    write_for_ever,
    write_some,
)

ROWS = [
    record(relu(size), vectors, tuple(range(40, 40 + 9 * vectors)))
    for size in range(8, 28)
    for vectors in (1, 2, 4)
]


def test_a_kill_at_any_point_loses_no_acknowledged_record(tmp_path: Path) -> None:
    path, stream, acknowledged = tmp_path / "r.sqlite", random.Random(0), []
    for point in range(10):
        process, answers = started(write_for_ever, path, 1 + 1000 * point)
        acknowledged += [answers.recv() for _ in range(stream.randrange(1, 30))]
        deadline = time.perf_counter() + stream.uniform(0, 1e-3)
        while time.perf_counter() < deadline:
            pass
        process.kill()
        acknowledged += rest_of(answers)
        process.join()
        with Records(path) as records:
            names = {row.signature for row in records.rows()}
            assert records.check() == []
        assert names >= {relu(index) for index in acknowledged}
        assert len(names) <= len(acknowledged) + point + 1


@pytest.mark.parametrize(("task", "outcomes"), [(migrate, {20}), (take_all, {20, 20 + 999 * 3})])
def test_a_kill_leaves_all_or_none_of_what_belongs_together(
    tmp_path: Path, task: Callable[..., None], outcomes: set[int]
) -> None:
    stream = random.Random(1)
    for point in range(3):
        path = tmp_path / f"{point}.sqlite"
        of_first_version(path, [record(relu(size), 7) for size in range(20)])
        process, answers = started(task, path)
        assert answers.recv() == "begun"
        deadline = time.perf_counter() + stream.uniform(0, 0.02)
        while time.perf_counter() < deadline:
            pass
        process.kill()
        process.join()
        with Records(path) as records:
            assert len(records.rows()) in outcomes
            assert records.check() == []


def test_eight_processes_bring_an_old_database_up_and_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    of_first_version(path, [record(relu(size)) for size in range(1, 30)])
    running = [started(write_some, path, writer) for writer in range(8)]
    assert [rest_of(answers) for _, answers in running] == [[writer] for writer in range(8)]
    with Records(path) as records:
        assert len(records.rows()) == 29 + 8 * 25
        assert records.check() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _full(path: Path, limit: int) -> None:
    """Fill what there is; then all acknowledged records are there and the problem was said."""
    process, answers = started(fill, path, limit)
    *acknowledged, problem = rest_of(answers)
    process.join()
    assert len(acknowledged) > 100
    assert "the records cannot be used" in problem
    assert "free some space" in problem
    with Records(path) as records:
        assert {row.signature for row in records.rows()} >= {relu(index) for index in acknowledged}
        assert records.check() == []


def test_a_file_that_may_not_grow_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    _full(path, 128 << 10)
    with Records(path) as records:
        records.add(record("f32 nhwc (4x4x4) relu(%0)"))


def test_a_full_disk_keeps_what_was_there(small_disk: Path) -> None:
    path = small_disk / "r.sqlite"
    _full(path, 0)
    before = path.read_bytes()
    (small_disk / "rest").write_bytes(b"")
    with suppress(OSError), (small_disk / "rest").open("wb", buffering=0) as file:
        while file.write(bytes(512)):
            pass
    with pytest.raises(RecordsProblem, match="free some space"), Records(path) as records:
        records.add_all(record(relu(size), 3) for size in range(5000, 9000))
    (small_disk / "rest").unlink()
    with Records(path) as records:
        assert records.check() == []
        records.rows()
    assert len(path.read_bytes()) >= len(before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database of records and prices."""
    path = tmp_path_factory.mktemp("whole") / "r.sqlite"
    with Records(path) as records:
        records.add_all(ROWS)
        records.add_prices(
            PriceRecord(row.signature, KEY, row.schedule, 5.0, 1.0, 9, context=str(index), measured="now")
            for index, row in enumerate(ROWS)
        )
    return path.read_bytes()


def truncated(content: bytes, stream: random.Random) -> bytes:
    """Some of the beginning."""
    return content[: stream.randrange(1, len(content))]


def flipped(content: bytes, stream: random.Random) -> bytes:
    """One bit is another."""
    torn = bytearray(content)
    place = stream.randrange(len(torn)) if stream.random() < 0.7 else stream.randrange(200)
    torn[place] ^= 1 << stream.randrange(8)
    return bytes(torn)


def overwritten(content: bytes, stream: random.Random) -> bytes:
    """Some pages' worth of noise."""
    place, length = stream.randrange(len(content) - 1), stream.randrange(1, 6000)
    return content[:place] + stream.randbytes(length)[: len(content) - place] + content[place + length :]


def seen(path: Path) -> tuple[set[Record], bool]:
    """The rows that a reader of a database gets, and whether it is told that something is wrong."""
    try:
        with Records(path) as records:
            return set(records.rows()), bool(records.damaged + records.check())
    except RecordsProblem:
        return set(), True


@pytest.mark.parametrize("damage", [truncated, flipped, overwritten])
def test_damage_is_named_and_never_a_wrong_row(
    tmp_path: Path, whole: bytes, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    stream, path, told = random.Random(2), tmp_path / "r.sqlite", 0
    for _ in range(25):
        path.write_bytes(damage(whole, stream))
        rows, named = seen(path)
        assert rows <= set(ROWS)
        assert named or rows == set(ROWS)
        if named:
            told += 1
            found = salvage(path)
            saved, named = seen(path)
            assert not named
            assert rows <= saved <= set(ROWS)
            assert found.kept["record"] == len(saved)
            assert found.aside.exists()
        path.unlink()
    assert told > 5


def test_a_flipped_byte_costs_one_row(tmp_path: Path, whole: bytes) -> None:
    path, hashed = tmp_path / "r.sqlite", MEASUREMENT.row(ROWS[0])[-1].encode()
    path.write_bytes(whole.replace(hashed, b"0" + hashed[1:] if hashed[:1] != b"0" else b"1" + hashed[1:]))
    assert seen(path) == (set(ROWS[1:]), True)
    found = salvage(path)
    assert found.kept == {"record": len(ROWS) - 1, "price": len(ROWS), "network": 0}
    assert found.lost == {"record": 1, "price": 0, "network": 0}
    assert seen(path) == (set(ROWS[1:]), False)


def test_a_log_that_is_torn_in_the_middle_is_refused_and_saved(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    holder = Records(path)
    with Records(path) as records:
        records._connection.execute("PRAGMA wal_autocheckpoint=0")
        for row in ROWS:
            records.add(row)
        content, log = path.read_bytes(), path.with_name(path.name + LOG).read_bytes()
    holder.close()
    torn = tmp_path / "torn.sqlite"
    torn.write_bytes(content)
    middle = len(log) // 2
    torn.with_name(torn.name + LOG).write_bytes(log[:middle] + b"torn" + log[middle + 4 :])
    with pytest.raises(RecordsProblem, match="the write-ahead log is damaged at frame"):
        Records(torn)
    assert salvage(torn).kept["record"] >= len(ROWS) - 1
    rows, named = seen(torn)
    assert not named
    assert rows <= set(ROWS)


def test_salvage_takes_from_nobody(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    process, answers = started(write_for_ever, path, 1)
    assert answers.recv() == 1
    with pytest.raises(RecordsProblem, match="another process uses the records"):
        salvage(path)
    process.kill()
    acknowledged = rest_of(answers)
    process.join()
    assert salvage(path).kept["record"] >= len(acknowledged)
    assert {name.name.split(".")[2][:7] for name in tmp_path.glob("r.sqlite.*")} == {"damaged"}
