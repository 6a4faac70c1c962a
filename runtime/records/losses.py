"""What a damaged file has lost for good: rows that cannot be made out, and pages that are gone with theirs.

The B-trees are walked from the first page of each table down (https://www.sqlite.org/fileformat2.html, sections 1.3,
1.6 and 2.6). A page that is missing or of no kind took its rows along, how many nobody can tell; the others say how
many there are on a page.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from runtime.records.pages import INTERIOR, LEAF, PAGE_BYTES, Images

_PAGES_STATED = 28
"""Where the file says of how many pages it is."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Rows that cannot be made out, pages that are gone, and about how many rows those held.

    `known` is False where not even the tables' beginnings can be found, so that there may be more.
    """

    rows: int
    pages: int
    rows_on_pages: int
    known: bool


def losses(images: Images) -> Losses:
    """What the pages of a file and of its log lack."""
    roots = images.roots()
    stated = _stated(images)
    held = _reached(images, roots.values(), stated) if roots else set(images.latest)
    trees = {number for number in held if images.kind(number) in (LEAF, INTERIOR)}
    whole = {number for number in images.latest if images.kind(number) is not None}
    gone = (held - trees if roots else set()) | (set(range(2, stated + 1)) - whole)
    counts = {number: images.counted(images.latest[number]) for number in trees}
    leaves = [read for number, (read, _) in counts.items() if images.kind(number) == LEAF]
    each = sum(leaves) / len(leaves) if leaves else 0.0
    unread = sum(lost for _, lost in counts.values())
    return Losses(unread, len(gone), round(each * len(gone)), bool(roots))


def _stated(images: Images) -> int:
    """How many pages the file says that it has, within reason."""
    first = images.latest.get(1, b"")
    if len(first) < PAGE_BYTES:
        return max(images.latest, default=0)
    return min(int(struct.unpack_from(">I", first, _PAGES_STATED)[0]), 1 << 24)


def _reached(images: Images, roots: Iterable[int], stated: int) -> set[int]:
    """The pages that the trees consist of, those that are gone included."""
    waiting, reached = list(roots), set()
    while waiting:
        number = waiting.pop()
        if number in reached or not 1 < number <= max(stated, max(images.latest, default=0)):
            continue
        reached.add(number)
        if images.kind(number) == INTERIOR:
            waiting += images.children(number)
    return reached
