"""Rows read from the pages of a database file, without SQLite: what a torn file still holds.

Every page that can be a B-tree page of our tables is read by itself, in the file and in its write-ahead log,
so one damaged page costs its own rows. Nothing here decides whether a row is whole: its hash does. The format
is SQLite's, https://www.sqlite.org/fileformat2.html, sections 1.5 to 2.1 and 4.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

PAGE_BYTES = 4096
"""The size of the pages of our databases; a damaged header could say anything."""
LEAF, INTERIOR = 0x0A, 0x02
"""The first byte of an index page, which is what a table without row numbers is made of."""
TABLE_LEAF = 0x0D
"""The first byte of a page with rows that have numbers, as the schema's."""
TEXT = 13
"""The kind of an empty text; every second one after it is of a text that is longer by a byte."""
_SIZES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
"""The bytes of NULL and of the integers, by kind."""
_SCHEMA = 100
"""Where the schema's first page begins, behind the header of the file."""
_LARGEST_LOCAL = (PAGE_BYTES - 12) * 64 // 255 - 23
_LEAST_LOCAL = (PAGE_BYTES - 12) * 32 // 255 - 23
_LOG_HEADER, _FRAME_HEADER = 32, 24
_MAGIC = 0x377F0682
"""How a write-ahead log begins whose checksums read numbers with the low byte first; one more is the high byte."""


def images_of(database: bytes, log: bytes = b"") -> Images:
    """The pages of a file and of its write-ahead log."""
    images = Images()
    for number, start in enumerate(range(0, len(database), PAGE_BYTES), 1):
        images.add(number, database[start : start + PAGE_BYTES])
    for frame in frames(log):
        images.add(frame.page, frame.content)
    return images


@dataclass(frozen=True, slots=True)
class Frame:
    """One page in a write-ahead log; `commits` where a transaction ends with it."""

    page: int
    commits: bool
    salt: bytes
    checksum: tuple[int, int]
    head: bytes
    content: bytes


def frames(log: bytes) -> Iterator[Frame]:
    """The frames of a write-ahead log, whole ones and others, up to where its bytes end."""
    step = _FRAME_HEADER + PAGE_BYTES
    for start in range(_LOG_HEADER, len(log) - step + 1, step):
        page, pages, salt, *checksum = struct.unpack_from(">II8sII", log, start)
        content = log[start + _FRAME_HEADER : start + step]
        yield Frame(page, pages > 0, salt, (checksum[0], checksum[1]), log[start : start + 8], content)


def lost_frame(log: bytes) -> int | None:
    """The first frame that SQLite would stop at although a later transaction was finished; None if there is none.

    The frames of a transaction that a kill interrupted are no loss: none of them commits. 0 is the header.
    """
    if len(log) <= _LOG_HEADER:
        return None
    order = "<" if struct.unpack_from(">I", log)[0] == _MAGIC else ">"
    state, stated = _checksum(log[:24], (0, 0), order), struct.unpack_from(">II", log, 24)
    if struct.unpack_from(">I", log)[0] & ~1 != _MAGIC or state != stated:
        return 0
    salt, lost = log[16:24], None
    for number, frame in enumerate(frames(log), 1):
        if lost is None:
            state = _checksum(frame.head + frame.content, state, order)
            lost = None if (frame.salt, frame.checksum) == (salt, state) else number
        elif frame.commits and frame.salt == salt:
            return lost
    return None


def _checksum(data: bytes, state: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = state
    numbers = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for even, odd in zip(numbers, numbers, strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


@dataclass
class Images:
    """All that is known of the pages: `all` of them, and the latest of each number."""

    all: list[bytes] = field(default_factory=list)
    latest: dict[int, bytes] = field(default_factory=dict)

    def add(self, number: int, page: bytes) -> None:
        """One more image of a page, later than the others."""
        self.all.append(page)
        self.latest[number] = page

    def kind(self, number: int) -> int | None:
        """The first byte of a page, which says of which kind it is; None of one that is missing or torn."""
        page = self.latest.get(number, b"")
        return page[0] if len(page) == PAGE_BYTES else None

    def every_row(self) -> Iterator[tuple[str, ...]]:
        """The texts of every row that can be made out, whichever table it is of, in no order, some of them twice."""
        for page in self.all:
            yield from (row for row in self._rows(page) if row is not None)

    def counted(self, page: bytes) -> tuple[int, int]:
        """How many rows of a page can be made out, and how many cannot although the page has them."""
        found = [row is not None for row in self._rows(page)]
        return sum(found), len(found) - sum(found)

    def _rows(self, page: bytes) -> Iterator[tuple[str, ...] | None]:
        """The rows of one page; None for one whose bytes make no sense."""
        if len(page) < PAGE_BYTES or page[0] not in (LEAF, INTERIOR):
            return
        for place in _cells(page):
            try:
                yield _texts(self._payload(page, place + (4 if page[0] == INTERIOR else 0)))
            except (ValueError, IndexError, KeyError, struct.error):
                yield None

    def children(self, number: int) -> list[int]:
        """The pages below an interior page; 0 stands for one that it does not say."""
        page = self.latest[number]
        places = [8, *_cells(page)]
        return [
            struct.unpack_from(">I", page, place)[0] if place <= PAGE_BYTES - 4 else 0 for place in places
        ]

    def roots(self) -> dict[str, int]:
        """The first page of each table by its name, as the schema on page 1 says; empty where that is gone."""
        page, found = self.latest.get(1, b""), {}
        if len(page) < PAGE_BYTES or page[_SCHEMA] != TABLE_LEAF:
            return {}
        for place in _cells(page, _SCHEMA):
            try:
                size, start = _varint(page, place)
                _, start = _varint(page, start)
                _, name, _, root, *_ = _columns(page[start : start + size])
                found[name[1].decode()] = int.from_bytes(root[1], "big")
            except (ValueError, IndexError):
                continue
        return found

    def _payload(self, page: bytes, place: int) -> bytes:
        """The bytes of a row, which may go on in other pages."""
        size, start = _varint(page, place)
        if size <= _LARGEST_LOCAL:
            return page[start : start + size]
        local = _LEAST_LOCAL + (size - _LEAST_LOCAL) % (PAGE_BYTES - 4)
        local = local if local <= _LARGEST_LOCAL else _LEAST_LOCAL
        parts, left = [page[start : start + local]], size - local
        if left > PAGE_BYTES * len(self.latest):
            raise ValueError("larger than the file")
        (following,) = struct.unpack_from(">I", page, start + local)
        while left > 0:
            content = self.latest[following]
            (following,) = struct.unpack_from(">I", content)
            parts.append(content[4 : 4 + min(left, PAGE_BYTES - 4)])
            left -= PAGE_BYTES - 4
        return b"".join(parts)


def _cells(page: bytes, start: int = 0) -> list[int]:
    """Where the cells of a B-tree page are, whose header is at `start`."""
    header = start + (12 if page[start] == INTERIOR else 8)
    count = min(struct.unpack_from(">H", page, start + 3)[0], (PAGE_BYTES - header) // 2)
    return [place for (place,) in struct.iter_unpack(">H", page[header : header + 2 * count])]


def _texts(payload: bytes) -> tuple[str, ...]:
    """The columns of a row, all of them texts; a byte that is none is replaced, so that the row can still be named.

    Raises:
        ValueError, IndexError: it is no such row.
    """
    columns = _columns(payload)
    if any(kind < TEXT or kind % 2 == 0 for kind, _ in columns):
        raise ValueError("not a text")
    return tuple(content.decode(errors="replace") for _, content in columns)


def _columns(payload: bytes) -> list[tuple[int, bytes]]:
    """The columns of a row, each with its kind: NULL, an integer or a text.

    Raises:
        ValueError, IndexError: it is no row, or has others.
    """
    end, place = _varint(payload, 0)
    kinds = []
    while place < end:
        kind, place = _varint(payload, place)
        kinds.append(kind)
    columns = []
    for kind in kinds:
        size = (kind - TEXT) // 2 if kind >= TEXT else _SIZES.get(kind, -1)
        if size < 0:
            raise ValueError("neither a text nor an integer")
        columns.append((kind, payload[end : end + size]))
        end += size
    if end != len(payload):
        raise ValueError("torn")
    return columns


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of one to nine bytes, seven bits each, and the place after it."""
    value = 0
    for index in range(8):
        value = value << 7 | data[place + index] & 0x7F
        if data[place + index] < 0x80:
            return value, place + index + 1
    return value << 8 | data[place + 8], place + 9
