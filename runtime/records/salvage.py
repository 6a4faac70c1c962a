"""Keeping what is whole of a damaged database: the old file is set aside, never changed."""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import stat
from collections import Counter
from collections.abc import Mapping, Sequence, Sized
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runtime.records import pages
from runtime.records.connection import LOG, MEMORY
from runtime.records.database import Records, row_name
from runtime.records.losses import Losses, losses
from runtime.records.problems import RecordsProblem, problem_of
from runtime.records.record import newest
from runtime.records.schema import OLD_LENGTH, NotReadable, check_own, from_first
from runtime.records.tables import MEASUREMENT, NETWORK, PRICE, TABLES, Row, Table

_MAGIC = b"SQLite format 3\0"
"""How a database begins."""
_SHARED_LOCK = (0x40000002, 510)
"""The bytes of a database that each connection holds a read lock on (SQLite's `os_unix.c`)."""
_NETWORK_HASH = re.compile(r"[0-9a-f]{32}")
"""What stands in the fourth column of a network: of a record it is a kernel."""


_Damaged = tuple[Table[Any], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What became of the rows, by their kind ("record", "price", "network"), and where the old file is now.

    `lost` counts the damaged rows that can still be made out, which `damaged` names; `besides` is what cannot.
    """

    kept: Mapping[str, int]
    lost: Mapping[str, int]
    damaged: tuple[str, ...]
    besides: Losses
    aside: Path


def salvage(path: Path | str, judged: os.stat_result | None = None) -> Salvaged:
    """Set a damaged database aside and keep its whole rows in a new one.

    A symbolic link stays; the file that it leads to is replaced. `judged` is the file that was found damaged.

    Raises:
        RecordsProblem: another process uses it or has replaced it, it never was a database, or the files cannot
            be moved or written.
    """
    path = Path(os.path.realpath(path))
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    fresh = path.with_name(f"{path.name}.salvaged-{stamp}")
    try:
        # Before the lock, which closing the file a second time would end.
        foreign = _is_foreign(path)
        with path.open("r+b") as file:
            _lock(path, file.fileno())
            _check_same(path, file.fileno(), judged)
            log = _beside(path, LOG)
            # Read through the file that is locked: to open it once more and close it would end the lock.
            content = file.read()
            images = pages.images_of(content, log.read_bytes() if log.exists() else b"")
            kept, damaged = _copy(images, fresh)
            if not any(kept.values()) and (foreign or not content.startswith(_MAGIC)):
                raise RecordsProblem(
                    f"{path}: this is no records database, and no record can be made out in it"
                )
            fresh.chmod(stat.S_IMODE(os.fstat(file.fileno()).st_mode))
            _exchange(path, fresh, aside)
    except OSError as problem:
        raise problem_of(path, problem) from None
    finally:
        for suffix in ("", LOG, MEMORY):
            _beside(fresh, suffix).unlink(missing_ok=True)
    names = tuple(sorted(f"{table.what}: {row_name(table, row)}" for table, row in damaged))
    counts = Counter(table.what for table, _ in damaged)
    lost = {table.what: counts[table.what] for table in TABLES}
    return Salvaged(kept, lost, names, losses(images), aside)


def _is_foreign(path: Path) -> bool:
    """Whether SQLite reads it as a database of another program."""
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as own,
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


def _check_same(path: Path, descriptor: int, judged: os.stat_result | None) -> None:
    """Refuse a file that another salvage has set aside, or made, since it was found damaged."""
    held = os.fstat(descriptor)
    if not all(os.path.samestat(held, each) for each in (path.stat(), judged or held)):
        raise RecordsProblem(f"{path}: another process has replaced the records meanwhile; check them again")


def _copy(images: pages.Images, fresh: Path) -> tuple[dict[str, int], list[_Damaged]]:
    """Write the whole rows of a damaged file and its log into a new database; how many are kept, and the others."""
    found = list(images.every_row())
    current = [*found, *(row for old in found if (row := from_first(old)) is not None)]
    with Records(fresh) as database:
        database.add_all(newest(_whole(MEASUREMENT, current)))
        database.add_prices(sorted(_whole(PRICE, current), key=lambda each: each.measured))
        database.add_networks(sorted(_whole(NETWORK, current), key=lambda each: each.measured))
        kept: tuple[Sized, ...] = (database.rows(), database.prices(), database.networks())
    counts = {table.what: len(rows) for table, rows in zip(TABLES, kept, strict=True)}
    return counts, _lost(found, current)


def _whole(table: Table[Row], rows: Sequence[Sequence[str]]) -> list[Row]:
    return [value for row in rows if (value := table.read(row)) is not None]


def _lost(found: Sequence[Sequence[str]], current: Sequence[Sequence[str]]) -> list[_Damaged]:
    """The damaged rows that no whole row stands for, each once, with their tables."""
    whole = {_identity(table, row) for row in current for table in TABLES if table.read(row) is not None}
    damaged = {
        _identity(table, row): (table, row)
        for row in found
        if (table := _table_of(row)) is not None and table.read(row) is None and from_first(row) is None
    }
    return [damaged[identity] for identity in damaged.keys() - whole]


def _identity(table: Table[Any], row: Sequence[str]) -> tuple[str, ...]:
    return (table.what, *row[: len(table.identity)])


def _table_of(row: Sequence[str]) -> Table[Any] | None:
    """The table that a damaged row was in, by its shape."""
    if len(row) == len(PRICE.columns) + 1:
        return PRICE
    if len(row) == len(NETWORK.columns) + 1 and _NETWORK_HASH.fullmatch(row[3]):
        return NETWORK
    return MEASUREMENT if len(row) in (OLD_LENGTH, len(MEASUREMENT.columns) + 1) else None


def _exchange(path: Path, fresh: Path, aside: Path) -> None:
    """Put the new database in the place of the old one; there is one at every moment."""
    os.link(path, aside)
    for suffix in (LOG, MEMORY):
        with suppress(FileNotFoundError):
            _beside(path, suffix).rename(_beside(aside, suffix))
    os.replace(fresh, path)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
