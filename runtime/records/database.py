"""The open database: every write is on disk when it returns, every row that is read has passed its hash."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from compiler.architecture import shown
from runtime.records.connection import connect
from runtime.records.problems import problem_of
from runtime.records.record import Key, NetworkRecord, PriceRecord, Record, content_hash, now
from runtime.records.schema import transaction
from runtime.records.tables import MEASUREMENT, NETWORK, PRICE, TABLES, Row, Table
from runtime.user_folders import data_folder

SAID = 3
"""How many of SQLite's own findings a message quotes."""
_FAILURES = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; its own message about a damaged schema may be no UTF-8."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of records from elsewhere: new here, newer than ours, the same, older and left out."""

    new: int
    newer: int
    same: int
    older: int


def default_path() -> Path:
    """The user's database."""
    return data_folder() / "records.sqlite"


class Records:
    """An open database; use it in `with`. `written` counts the rows that were written to it since.

    Raises:
        RecordsProblem: the file is no records database, is of another version, or cannot be opened.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = Path(path) if path is not None else default_path()
        self.damaged: list[str] = []
        self.written = 0
        with self._reported():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = connect(self.path)

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Failures of SQLite and of the system as problems with a way out."""
        try:
            yield
        except (*_FAILURES, OSError) as problem:
            raise problem_of(self.path, problem) from None

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
            record = replace(record, measured=now())
        self.add_all([record])
        return record

    def add_all(self, records: Iterable[Record]) -> None:
        """Keep several records in one transaction: all, or none."""
        self._write(MEASUREMENT, records)

    def add_prices(self, prices: Iterable[PriceRecord]) -> None:
        """Keep prices of schedules, in place of older ones in the same context: all, or none."""
        self._write(PRICE, (each if each.measured else replace(each, measured=now()) for each in prices))

    def add_networks(self, networks: Iterable[NetworkRecord]) -> None:
        """Keep whole networks' times, in place of older ones of the same network: all, or none."""
        self._write(NETWORK, (each if each.measured else replace(each, measured=now()) for each in networks))

    def forget(self, kernels: Iterable[str], key: Key) -> None:
        """Remove the prices of some kernels under a key, and the networks that have these kernels alone.

        Raises:
            RecordsProblem: they cannot be removed.
        """
        names = set(kernels)
        prices = self.prices(names, key)
        networks = [each for each in self.networks(key) if names.issuperset(each.kernels)]
        with self._reported(), transaction(self._connection):
            self._connection.executemany(PRICE.deletion, map(PRICE.place, prices))
            self._connection.executemany(NETWORK.deletion, map(NETWORK.place, networks))

    def _write(self, table: Table[Row], values: Iterable[Row]) -> None:
        rows = [table.row(value) for value in values]
        with self._reported(), transaction(self._connection):
            self._connection.executemany(table.insertion, rows)
        self.written += len(rows)

    def take(self, records: Iterable[Record]) -> Taken:
        """Keep records from elsewhere where they are new or newer than what is here: all of those, or none."""
        counts = {"new": 0, "newer": 0, "same": 0, "older": 0}
        with self._reported(), transaction(self._connection):
            for record in records:
                verdict = _verdict(record, self._held(record))
                counts[verdict] += 1
                if verdict in ("new", "newer"):
                    self._connection.execute(MEASUREMENT.insertion, MEASUREMENT.row(record))
        return Taken(**counts)

    def _held(self, record: Record) -> Record | None:
        """The whole record of the same identity that is here."""
        where = " AND ".join(f"{column} = ?" for column in MEASUREMENT.identity)
        given = MEASUREMENT.encode(record)[: len(MEASUREMENT.identity)]
        row = self._connection.execute(f"{MEASUREMENT.selection} WHERE {where}", given).fetchone()
        return None if row is None else MEASUREMENT.read(row)

    def rows(self, signatures: Iterable[str] | None = None, key: Key | None = None) -> list[Record]:
        """The whole records of some kernels (of all, if none are named), in the order of keys and texts.

        Damaged rows are left out and named in `damaged`.
        """
        return self._read(MEASUREMENT, signatures, key)

    def prices(self, signatures: Iterable[str] | None = None, key: Key | None = None) -> list[PriceRecord]:
        """The whole prices of some kernels, as `rows` gives records."""
        return self._read(PRICE, signatures, key)

    def networks(self, key: Key | None = None) -> list[NetworkRecord]:
        """The whole networks that were measured."""
        return self._read(NETWORK, None, key)

    def _read(self, table: Table[Row], signatures: Iterable[str] | None, key: Key | None) -> list[Row]:
        with self._reported():
            whole, self.damaged = self._sorted_out(table, *_condition(signatures, key))
        return whole

    def _sorted_out(
        self, table: Table[Row], condition: str = "", given: tuple[str, ...] = ()
    ) -> tuple[list[Row], list[str]]:
        """The whole rows of a table, and the names of the others."""
        query = f"{table.selection}{condition} ORDER BY {', '.join(table.identity)}"
        found = self._connection.execute(query, given).fetchall()
        values = [table.read(row) for row in found]
        names = [row_name(table, row) for row, value in zip(found, values, strict=True) if value is None]
        return [value for value in values if value is not None], names

    def signatures(self, key: Key) -> list[str]:
        """The kernels that have records under a key; reads no more than one row of each."""
        where = "target = ? AND tvm = ? AND processor = ?"
        if key.kind is not None:
            condition, values = _condition(None, key)
            with self._reported():
                query = f"SELECT DISTINCT signature FROM {MEASUREMENT.name}{condition} ORDER BY signature"
                return [str(name) for (name,) in self._connection.execute(query, values)]
        following = f"SELECT min(signature) FROM {MEASUREMENT.name} WHERE {where} AND signature > name"
        query = f"WITH RECURSIVE found(name) AS (VALUES ('') UNION ALL SELECT ({following}) FROM found"
        given = (key.target, key.tvm, key.processor)
        with self._reported():
            rows = self._connection.execute(
                f"{query} WHERE name IS NOT NULL) SELECT name FROM found WHERE name > ''", given
            )
            return [str(name) for (name,) in rows]

    def check(self) -> list[str]:
        """What is damaged: the file's pages, then each row whose hash does not fit, and of which kind it is.

        Empty if all is well.
        """
        findings = self._structure()
        for table in TABLES:
            try:
                findings += [f"{table.what}: {name}" for name in self._sorted_out(table)[1]]
            except _FAILURES as problem:
                findings.append(f"{table.what}: the rows cannot all be read ({problem})")
        return findings

    def _structure(self) -> list[str]:
        """What SQLite itself finds wrong with the pages, as one finding."""
        try:
            rows = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check(20)")]
        except _FAILURES as problem:
            rows = [str(problem)]
        said = [" ".join(line.split()) for row in rows for line in row.splitlines()]
        said = [line for line in said if line and line != "ok" and not line.startswith("*** in database")]
        if not said:
            return []
        more = f"; and {len(said) - SAID} more" if len(said) > SAID else ""
        words = "; ".join(said[:SAID])
        return [f"file: pages were overwritten or are missing, and rows with them (SQLite: {words}{more})"]


def _verdict(record: Record, held: Record | None) -> str:
    if held is None:
        return "new"
    if content_hash(record) == content_hash(held):
        return "same"
    return "newer" if record.recency > held.recency else "older"


def _condition(signatures: Iterable[str] | None, key: Key | None) -> tuple[str, tuple[str, ...]]:
    """The part of a query that says which rows are meant, and its values."""
    parts, given = [], []
    if key is not None and key.kind is not None:
        parts.append("target = ? AND tvm = ? AND substr(processor, 1, length(?)) = ?")
        given += [key.target, key.tvm, key.kind, key.kind]
    elif key is not None:
        parts.append("target = ? AND tvm = ? AND processor = ?")
        given += [key.target, key.tvm, key.processor]
    if signatures is not None:
        parts.append("signature IN (SELECT value FROM json_each(?))")
        given.append(json.dumps(sorted(set(signatures))))
    return (" WHERE " + " AND ".join(parts) if parts else ""), tuple(given)


def row_name(table: Table[Any], row: Iterable[object]) -> str:
    """A damaged row in a few words: as much of what it was of as can be read."""
    _, _, _, *rest = map(str, row)
    return " ".join(shown(text) for text in rest[: max(2, len(table.identity) - 3)])
