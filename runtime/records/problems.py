"""What can be wrong with a records database, in words for the person who uses it."""

from __future__ import annotations

import sqlite3
from pathlib import Path


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
        return _problem(RecordsProblem, path, problem, "another process is writing; wait for it to end")
    if code in _NO_ROOM or isinstance(problem, OSError):
        way_out = "free some space, make it writable, or give another file with --records"
        return _problem(RecordsProblem, path, problem, way_out)
    return damaged(path, str(problem))


def damaged(path: Path, what: str) -> DamagedRecords:
    """A database that is torn."""
    return DamagedRecords(
        f"{path}: the records cannot be used ({what}); "
        "what is whole can be kept: `onepath records salvage`, or give another file with --records"
    )


def _problem(kind: type[RecordsProblem], path: Path, problem: Exception, way_out: str) -> RecordsProblem:
    said = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return kind(f"{path}: the records cannot be used ({said}); {way_out}")
