"""What can be wrong with a records database, in words for the person who uses it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

BUSY_WAIT_S = 20.0
"""How long a process waits for another to finish with the database."""


class RecordsProblem(Exception):
    """A records database or pack that cannot be used: which, what is wrong, and the way out."""


class DamagedRecords(RecordsProblem):
    """A file that is no database, or a torn one: `salvage` keeps what is whole."""


_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_NO_ROOM = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
)


def problem_of(path: Path, problem: Exception) -> RecordsProblem:
    """What SQLite or the system said about a database, with the way out."""
    code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return RecordsProblem(
            f"{path}: another process is using the records (waited up to {BUSY_WAIT_S:g} s);"
            " try again when it has ended"
        )
    if code in _NO_ROOM or isinstance(problem, OSError):
        way_out = "free some space, make it writable, or give another file with --records"
        said = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        return RecordsProblem(f"{path}: the records cannot be used ({said}); {way_out}")
    return damaged(path, str(problem))


def damaged(path: Path, what: str) -> DamagedRecords:
    """A database that is torn."""
    return DamagedRecords(
        f"{path}: the records cannot be used ({what}); "
        f"what is whole can be kept: `onepath records salvage --records {path}`, or give another file with --records"
    )
