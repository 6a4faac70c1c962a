"""The version of the database, and how one of an older version is brought up to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from compiler.codegen.schedules.template import read_schedule
from runtime.records.record import text_hash
from runtime.records.tables import DEFINITIONS, MEASUREMENT, NETWORK, PRICE

VERSION = 3
"""2 gave records an origin. 3 has prices as medians of means, and networks timed in rounds: what earlier versions hold
of either does not compare, and is measured anew."""
_OLD = ("signature", "target", "tvm", "processor", "schedule", "status", "times_ns", "measured")
"""The columns of version 1, which had no origin; the hash stood last."""
OLD_LENGTH = len(_OLD) + 1
"""How many texts a row of version 1 had."""


class NotReadable(Exception):
    """A database that is none of ours, or of a version that this program cannot read; the argument says which."""


def check_version(connection: sqlite3.Connection) -> int:
    """The version that the file states; 0 is a new one.

    Raises:
        NotReadable: this program cannot read it.
    """
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if not 0 <= found <= VERSION:
        raise NotReadable(f"the records are of version {found}, and this program reads version {VERSION}")
    return found


def check_own(connection: sqlite3.Connection) -> None:
    """Refuse another program's database before anything is written to it.

    Raises:
        NotReadable: it has tables, and that of the records is not among them.
    """
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if names and MEASUREMENT.name not in names:
        raise NotReadable("this is a database of another program")


def prepare(connection: sqlite3.Connection) -> None:
    """Create what is missing and bring an older database up, in one transaction.

    Every record is kept; prices and networks are not, which earlier versions took in another way.

    Raises:
        NotReadable: another process wrote a later version meanwhile.
    """
    if check_version(connection) == VERSION:
        return
    with transaction(connection):
        found = check_version(connection)
        if 0 < len(_columns(connection)) < len(MEASUREMENT.columns) + 1:
            _from_first(connection)
        for definition in DEFINITIONS:
            connection.execute(definition)
        if found < VERSION:
            for table in (PRICE, NETWORK):
                connection.execute(f"DELETE FROM {table.name}")
        connection.execute(f"PRAGMA user_version={VERSION}")


def _columns(connection: sqlite3.Connection) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({MEASUREMENT.name})")]


def _from_first(connection: sqlite3.Connection) -> None:
    """Rows get an origin, "", and a new hash; damaged ones keep the old hash, and so stay damaged."""
    connection.create_function("renewed", OLD_LENGTH, _renewed, deterministic=True)
    connection.execute(f"ALTER TABLE {MEASUREMENT.name} RENAME TO old")
    connection.execute(MEASUREMENT.definition)
    carried = ", ".join(MEASUREMENT.columns[:-1])
    connection.execute(
        f"INSERT INTO {MEASUREMENT.name} SELECT {carried}, '', renewed({', '.join(_OLD)}, hash) FROM old"
    )
    connection.execute("DROP TABLE old")


def _renewed(*row: str) -> str:
    current = from_first(row)
    return row[-1] if current is None else current[-1]


def from_first(row: Sequence[object]) -> tuple[str, ...] | None:
    """A row of version 1 as one of this version; None where it is damaged."""
    texts = [text for text in row if isinstance(text, str)]
    if not len(texts) == len(row) == OLD_LENGTH or text_hash(texts[:-1]) != texts[-1]:
        return None
    fields = dict(zip(_OLD, texts, strict=False))
    with suppress(ValueError):
        read_schedule(fields["schedule"])
        carried = (*(fields[column] for column in MEASUREMENT.columns[:-1]), "")
        return (*carried, text_hash(carried))
    return None


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is written in its block, or nothing; waits for another process to finish its own."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
