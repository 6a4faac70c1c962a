"""A connection to the database: to the file that has its name, of our own program and version, with a sound log."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from runtime.records.pages import PAGE_BYTES, lost_frame
from runtime.records.problems import BUSY_WAIT_S, RecordsProblem, damaged
from runtime.records.schema import NotReadable, check_own, check_version, prepare

LOG, MEMORY = "-wal", "-shm"
"""What SQLite appends to a database's name for its write-ahead log and the log's index."""
SETTINGS = (f"page_size={PAGE_BYTES}", "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=1")
"""Each commit is synchronous; it goes on into the file at once, so that damage to the log costs nothing."""


def files_of(path: Path) -> list[Path]:
    """The files that a database consists of, those beside it whether they are there now or not."""
    real = os.path.realpath(path)
    return [Path(real + suffix) for suffix in ("", LOG, MEMORY)]


def connect(path: Path) -> sqlite3.Connection:
    """Open a database, make a new one, or bring one of an older version up.

    Raises:
        RecordsProblem: it is another program's, of a later version, or its log is damaged.
        sqlite3.Error, UnicodeDecodeError, OSError: it cannot be read, or another process held it too long.
    """
    _check_log(path)
    try:
        connection = _locked(path)
        try:
            for setting in SETTINGS:
                connection.execute(f"PRAGMA {setting}")
            prepare(connection)
        except BaseException:
            connection.close()
            raise
    except NotReadable as problem:
        raise RecordsProblem(f"{path}: {problem}; give another file with --records") from None
    return connection


def _check_log(path: Path) -> None:
    """Refuse a log that SQLite would read only the beginning of; one that is being written is read again."""
    _, log, _ = files_of(path)
    with suppress(FileNotFoundError):
        seen = log.read_bytes()
        lost = lost_frame(seen)
        if lost is not None and log.read_bytes() == seen:
            raise damaged(path, f"the write-ahead log is damaged at frame {lost}")


def _locked(path: Path) -> sqlite3.Connection:
    """A connection that holds the file of this name: the one that was waited for may have been set aside meanwhile.

    From the first reading to the end a connection holds the lock without which nobody salvages.
    """
    while True:
        awaited = _inode(path)
        connection = sqlite3.connect(path, timeout=BUSY_WAIT_S, isolation_level=None)
        connection.text_factory = _text
        try:
            check_version(connection)
            check_own(connection)
        except BaseException:
            connection.close()
            if awaited in (None, _inode(path)):
                raise
            continue
        if awaited in (None, _inode(path)):
            return connection
        connection.close()


def _inode(path: Path) -> int | None:
    """Which file has a name now; None where there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _text(data: bytes) -> str:
    """A column as text; what is no UTF-8 fails the row's hash, not the whole reading."""
    return data.decode(errors="replace")
