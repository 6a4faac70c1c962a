"""Tuning records: what was measured, kept in one SQLite database that several processes may share.

A record is one schedule of one kernel on one target: its parameters and its measured times. The key is the
kernel's signature, the target, TVM's version and the processor's fingerprint. Commits are synchronous, so
what was acknowledged survives a kill; every row carries a hash of its content, so that damage is found
and named, and what is whole is kept.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from types import TracebackType

import platformdirs

from compiler.codegen.schedules.template import Schedule, read_schedule
from compiler.codegen.tvm_api import version
from compiler.target import Target
from runtime.device import fingerprint

PACK_SCHEMA = "onepath.records/1"
BUSY_WAIT_S = 20.0
"""How long a writer waits for another process to finish its transaction."""
FAILED, DIED = "failed: ", "died: "
"""How the status of a schedule begins that cannot be used; one whose worker died or was late is tried once more."""
_VERSION = 1

_TABLE = """
CREATE TABLE IF NOT EXISTS measurement (
    signature TEXT NOT NULL, target TEXT NOT NULL, tvm TEXT NOT NULL, processor TEXT NOT NULL,
    schedule TEXT NOT NULL, status TEXT NOT NULL, times_ns TEXT NOT NULL, measured TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (signature, target, tvm, processor, schedule)
) WITHOUT ROWID
"""
_COLUMNS = ("signature", "target", "tvm", "processor", "schedule", "status", "times_ns", "measured")


class RecordsProblem(Exception):
    """A records database that cannot be used: which, what is wrong, and the way out."""


class DamagedRecords(RecordsProblem):
    """A file that is no database, or a torn one: `salvage` keeps what is whole."""


@dataclass(frozen=True, slots=True)
class Key:
    """Where a record holds: the target's key, TVM's version, the processor's fingerprint."""

    target: str
    tvm: str
    processor: str


@dataclass(frozen=True, slots=True)
class Record:
    """One schedule of one kernel: its times in nanoseconds, or why it has none.

    `status` is "ok", or `FAILED` or `DIED` with the reason; `measured` is the moment, ISO 8601 in UTC.
    """

    signature: str
    key: Key
    schedule: Schedule
    times_ns: tuple[int, ...]
    status: str = "ok"
    measured: str = ""

    @property
    def median_ns(self) -> float:
        """The median time; infinite where nothing was measured."""
        return float(median(self.times_ns)) if self.status == "ok" and self.times_ns else float("inf")


def key_of(target: Target) -> Key:
    """The key of records made on this machine for the target."""
    return Key(target.key, version(), fingerprint())


def default_path() -> Path:
    """The user's database."""
    return Path(platformdirs.user_data_dir("onepath", appauthor=False)) / "records.sqlite"


class Records:
    """An open database; use it in `with`.

    Raises:
        RecordsProblem: the file is no records database, is of another version, or cannot be opened.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = Path(path) if path is not None else default_path()
        self.damaged: list[str] = []
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._open()
        except (sqlite3.DatabaseError, OSError) as problem:
            raise _problem(self.path, problem) from None

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_WAIT_S, isolation_level=None)
        try:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            if found not in (0, _VERSION):
                raise RecordsProblem(
                    f"{self.path}: the records are of version {found}, and this program reads version {_VERSION};"
                    " give another file with --records"
                )
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA user_version={_VERSION}")
        except BaseException:
            connection.close()
            raise
        return connection

    def __enter__(self) -> Records:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; records are already on disk."""
        self._connection.close()

    def add(self, record: Record) -> Record:
        """Keep a record, in place of an older one of the same schedule; on disk when this returns.

        Raises:
            RecordsProblem: the disk is full, or another process held the database too long.
        """
        if not record.measured:
            record = replace(record, measured=datetime.now(UTC).isoformat(timespec="seconds"))
        self.add_all([record])
        return record

    def add_all(self, records: Iterable[Record]) -> None:
        """Keep several records in one transaction: all, or none."""
        rows = [(*_row(record), _hash(_row(record))) for record in records]
        marks = ", ".join("?" * (len(_COLUMNS) + 1))
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(f"INSERT OR REPLACE INTO measurement VALUES ({marks})", rows)
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.DatabaseError):
                    self._connection.execute("ROLLBACK")
                raise
        except (sqlite3.DatabaseError, OSError) as problem:
            raise _problem(self.path, problem) from None

    def rows(self, signatures: Iterable[str] | None = None, key: Key | None = None) -> list[Record]:
        """The whole records of some kernels (of all, if none are named), in the order of their text.

        Damaged rows are left out and named in `damaged`.
        """
        wanted = None if signatures is None else frozenset(signatures)
        return [record for record in self._read(key) if wanted is None or record.signature in wanted]

    def _read(self, key: Key | None) -> Iterator[Record]:
        where = "WHERE target = ? AND tvm = ? AND processor = ?" if key else ""
        given = (key.target, key.tvm, key.processor) if key else ()
        columns = ", ".join(_COLUMNS)
        query = f"SELECT {columns}, hash FROM measurement {where} ORDER BY signature, schedule"
        self.damaged = []
        try:
            for *row, digest in self._connection.execute(query, given):
                record = _record(row) if digest == _hash(row) else None
                if record is None:
                    self.damaged.append(f"{str(row[0])[:120]} {str(row[4])[:120]}")
                else:
                    yield record
        except (sqlite3.DatabaseError, OSError) as problem:
            raise _problem(self.path, problem) from None

    def check(self) -> list[str]:
        """What is damaged: SQLite's own findings, then rows whose hash does not fit. Empty if all is well."""
        try:
            findings = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check(20)")]
        except sqlite3.DatabaseError as problem:
            findings = [str(problem)]
        with suppress(RecordsProblem):
            self.rows()
        return [finding for finding in findings if finding != "ok"] + self.damaged


def best_of(records: Iterable[Record]) -> dict[str, Record]:
    """The fastest record of every kernel that has a valid one; equal times go by the schedule's text."""
    best: dict[str, Record] = {}
    for record in records:
        held = best.get(record.signature)
        rank = (record.median_ns, record.schedule.text)
        if record.median_ns < float("inf") and (held is None or rank < (held.median_ns, held.schedule.text)):
            best[record.signature] = record
    return best


def digest(records: Iterable[Record]) -> str:
    """A hash of records: equal records, in whatever order, have equal digests."""
    content = "\n".join(sorted(_hash(_row(record)) for record in records))
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest()


def write_pack(records: Sequence[Record]) -> str:
    """Records as JSON lines: a header, then one a line with its hash."""
    lines = [json.dumps({"schema": PACK_SCHEMA, "records": len(records), "digest": digest(records)})]
    for record in records:
        row = _row(record)
        lines.append(json.dumps({**dict(zip(_COLUMNS, row, strict=True)), "hash": _hash(row)}))
    return "\n".join(lines) + "\n"


def read_pack(text: str, name: str = "records") -> list[Record]:
    """The records of a pack.

    Raises:
        RecordsProblem: it is no pack, is torn, or a line was changed; the message names the line.
    """
    lines = text.splitlines()
    try:
        header = json.loads(lines[0]) if lines else {}
        if not isinstance(header, dict) or header.get("schema") != PACK_SCHEMA:
            raise ValueError
    except ValueError:
        raise RecordsProblem(f"{name}: the first line does not state schema {PACK_SCHEMA!r}") from None
    records = [_read_line(line, name, number) for number, line in enumerate(lines[1:], 2)]
    if len(records) != header.get("records") or digest(records) != header.get("digest"):
        raise RecordsProblem(f"{name}: the pack is torn: {len(records)} of {header.get('records')} records")
    return records


def _read_line(line: str, name: str, number: int) -> Record:
    try:
        fields = json.loads(line)
        row = [fields[column] for column in _COLUMNS]
        record = _record(row) if fields["hash"] == _hash(row) else None
    except (ValueError, KeyError, TypeError):
        record = None
    if record is None:
        raise RecordsProblem(f"{name}:{number}: the record is damaged; ask for the pack again")
    return record


def salvage(path: Path | str) -> tuple[int, Path]:
    """Set a damaged database aside and keep its whole rows in a new one; (rows kept, where the old one is).

    Raises:
        RecordsProblem: the files cannot be moved or written.
    """
    path = Path(path)
    kept: list[Record] = []
    with suppress(sqlite3.DatabaseError), suppress(RecordsProblem):
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            query = f"SELECT {', '.join(_COLUMNS)}, hash FROM measurement"
            for *row, row_hash in connection.execute(query):
                record = _record(row) if row_hash == _hash(row) else None
                if record is not None:
                    kept.append(record)
        finally:
            connection.close()
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    try:
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    except OSError as problem:
        raise _problem(path, problem) from None
    with Records(path) as records:
        records.add_all(kept)
    return len(kept), aside


def _row(record: Record) -> tuple[str, ...]:
    times = json.dumps(list(record.times_ns), separators=(",", ":"))
    key = record.key
    schedule = record.schedule.text
    return (
        record.signature,
        key.target,
        key.tvm,
        key.processor,
        schedule,
        record.status,
        times,
        record.measured,
    )


def _hash(row: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(list(row)).encode()).hexdigest()[:32]


def _record(row: Sequence[object]) -> Record | None:
    try:
        signature, target, tvm, processor, schedule, status, times, measured = map(str, row)
        key = Key(target, tvm, processor)
        numbers = tuple(int(number) for number in json.loads(times))
        return Record(signature, key, read_schedule(schedule), numbers, status, measured)
    except (ValueError, TypeError):
        return None


def _problem(path: Path, problem: Exception) -> RecordsProblem:
    text, kind = str(problem), RecordsProblem
    if "locked" in text:
        way_out = "another process is writing; wait for it to end"
    elif "full" in text or "readonly" in text or isinstance(problem, OSError) or "unable to open" in text:
        way_out = "free some space, make it writable, or give another file with --records"
    else:
        kind = DamagedRecords
        way_out = "what is whole can be kept: `onepath records salvage`, or give another file with --records"
    return kind(f"{path}: the records cannot be used ({text}); {way_out}")
