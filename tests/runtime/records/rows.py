"""Records for tests."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from compiler.codegen.schedules.template import Schedule
from runtime.records import Key, Record
from runtime.records.record import content, text_hash

KEY = Key('{"kind": "llvm", "cpu": "znver5", "features": [], "threads": 1}', "0.27", "a processor 1234")
ELSEWHERE = Key(KEY.target, KEY.tvm, "another processor")

FIRST_VERSION = """
CREATE TABLE measurement (
    signature TEXT NOT NULL, target TEXT NOT NULL, tvm TEXT NOT NULL, processor TEXT NOT NULL,
    schedule TEXT NOT NULL, status TEXT NOT NULL, times_ns TEXT NOT NULL, measured TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (signature, target, tvm, processor, schedule)
) WITHOUT ROWID
"""


def relu(channels: int = 8) -> str:
    """The signature of a small kernel."""
    return f"f32 nhwc ({channels}x4x4) relu(%0)"


def record(
    signature: str = relu(),
    vectors: int = 1,
    times: tuple[int, ...] = (5, 3, 4),
    key: Key = KEY,
    day: int = 1,
) -> Record:
    """A record of a schedule, measured on a day of January 2026."""
    schedule = Schedule.of("elementwise/1", {"vectors": vectors})
    return Record(signature, key, schedule, times, "ok", f"2026-01-{day:02}T00:00:00+00:00")


def spoil(path: Path, signature: str) -> None:
    """Change the times of a kernel's rows behind the database's back."""
    connection = sqlite3.connect(path)
    connection.execute("UPDATE measurement SET times_ns = '[1]' WHERE signature = ?", (signature,))
    connection.commit()
    connection.close()


def of_first_version(path: Path, records: list[Record]) -> None:
    """A database as version 1 of the program wrote it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(FIRST_VERSION)
    rows = [(*content(each), text_hash(content(each))) for each in records]
    connection.executemany(f"INSERT INTO measurement VALUES ({', '.join('?' * 9)})", rows)
    connection.execute("PRAGMA user_version=1")
    connection.close()
