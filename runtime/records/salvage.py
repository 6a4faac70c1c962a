"""Keeping what is whole of a damaged database: the old file is set aside, never changed."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from runtime.records import pages
from runtime.records.database import LOG, MEMORY, Records
from runtime.records.problems import RecordsProblem, problem_of
from runtime.records.record import newest
from runtime.records.schema import NotReadable, check_own, from_first
from runtime.records.tables import MEASUREMENT, NETWORK, PRICE

_MAGIC = b"SQLite format 3\0"
"""How a database begins."""
_SHARED_LOCK = (0x40000002, 510)
"""The bytes of a database that each connection holds a read lock on (SQLite's `os_unix.c`)."""


def salvage(path: Path | str) -> tuple[int, Path]:
    """Set a damaged database aside and keep its whole rows in a new one; (records kept, where the old one is).

    Raises:
        RecordsProblem: another process uses it, it never was a database, or the files cannot be moved or written.
    """
    path = Path(path)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    fresh = path.with_name(f"{path.name}.salvaged-{stamp}")
    try:
        # Before the lock, which closing the file a second time would end.
        foreign = _is_foreign(path)
        with path.open("r+b") as file:
            _lock(path, file.fileno())
            log = _beside(path, LOG)
            # Read through the file that is locked: to open it once more and close it would end the lock.
            content = file.read()
            kept = _copy(content, log.read_bytes() if log.exists() else b"", fresh)
            if not kept and (foreign or not content.startswith(_MAGIC)):
                raise RecordsProblem(
                    f"{path}: this is no records database, and no record can be made out in it"
                )
            _exchange(path, fresh, aside)
    except OSError as problem:
        raise problem_of(path, problem) from None
    finally:
        for suffix in ("", LOG, MEMORY):
            _beside(fresh, suffix).unlink(missing_ok=True)
    return kept, aside


def _is_foreign(path: Path) -> bool:
    """Whether SQLite reads it as a database of another program."""
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as own,
    ):
        try:
            check_own(own)
        except NotReadable:
            return True
    return False


def _lock(path: Path, descriptor: int) -> None:
    place, length = _SHARED_LOCK
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length, place)
    except OSError:
        raise RecordsProblem(f"{path}: another process uses the records; wait for it to end") from None


def _copy(content: bytes, log: bytes, fresh: Path) -> int:
    """Write the whole rows of a damaged file and its log into a new database; how many records there are."""
    found = list(pages.rows(content, log))
    current = [*found, *(row for old in found if (row := from_first(old)) is not None)]
    records = newest(record for row in current if (record := MEASUREMENT.read(row)) is not None)
    prices = [price for row in current if (price := PRICE.read(row)) is not None]
    networks = [network for row in current if (network := NETWORK.read(row)) is not None]
    with Records(fresh) as database:
        database.add_all(records)
        database.add_prices(sorted(prices, key=lambda each: each.measured))
        database.add_networks(sorted(networks, key=lambda each: each.measured))
    return len(records)


def _exchange(path: Path, fresh: Path, aside: Path) -> None:
    """Put the new database in the place of the old one; there is one at every moment."""
    os.link(path, aside)
    for suffix in (LOG, MEMORY):
        with suppress(FileNotFoundError):
            _beside(path, suffix).rename(_beside(aside, suffix))
    os.replace(fresh, path)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
