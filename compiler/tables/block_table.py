"""A latency table of blocks: how long each takes on a device, measured elsewhere, by any means.

`onepath.block_latency/1` is JSON that programs and people write; `docs/latency_tables.md` describes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Annotated, Any

import msgspec

from compiler.architecture import shown
from compiler.kernel import Kernel
from compiler.latency import TableProblem
from compiler.tables.block import Form, form, read_block
from compiler.tables.proxylessnas import key_of

SCHEMA = "onepath.block_latency/1"
ENTRIES_CAP = 20_000
"""The most entries of a table."""
PROBLEMS_SHOWN = 20

NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class Time(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The mean of `count` runs of a block and their variance, where they are known."""

    mean_ms: NotNegative
    count: Annotated[int, msgspec.Meta(ge=1)] | None = None
    variance_ms2: NotNegative | None = None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    device: str
    entries: dict[str, dict[str, Any]]
    schema: str = SCHEMA
    source: str = ""


@dataclass(frozen=True)
class BlockTable:
    """The times of blocks. `device` and `source` say whose they are and where they come from."""

    device: str
    times: Mapping[Kernel, Time]
    source: str = ""

    @cached_property
    def forms(self) -> frozenset[Form]:
        """The kinds of block that the table has."""
        return frozenset(map(form, self.times))

    @cached_property
    def sequences(self) -> frozenset[tuple[str, ...]]:
        """The operators of each kind of block, in order."""
        return frozenset(tuple(step.operator for step in block.steps) for block in self.times)

    @cached_property
    def longest(self) -> int:
        """The most operators of a block."""
        return max((len(block.steps) for block in self.times), default=0)

    @property
    def rows(self) -> list[tuple[str, Kernel, Time]]:
        """Name, block and time of each entry, the slowest first."""
        ordered = sorted(self.times.items(), key=lambda item: -item[1].mean_ms)
        return [(name_of(block), block, time) for block, time in ordered]


def name_of(block: Kernel) -> str:
    """A block in the words that people know it by: the published tables' key, else its signature."""
    return key_of(block) or block.signature


def to_payload(table: BlockTable) -> dict[str, Any]:
    """The table as plain JSON values without the schema, entries in their order."""
    entries = {block.signature: msgspec.to_builtins(time) for block, time in table.times.items()}
    return {"device": table.device, "source": table.source, "entries": entries}


def from_payload(payload: object) -> BlockTable:
    """The table that a JSON object holds.

    Raises:
        TableProblem: it is none; the message names each entry that is wrong.
    """
    try:
        document = msgspec.convert(payload, _Document)
    except msgspec.ValidationError as problem:
        raise TableProblem(f"not a latency table of schema {SCHEMA}: {problem}") from None
    if len(document.entries) > ENTRIES_CAP:
        raise TableProblem(f"a latency table has at most {ENTRIES_CAP:,} entries")
    times: dict[Kernel, Time] = {}
    problems = []
    for text, value in document.entries.items():
        try:
            block, time = read_block(text), checked_time(value)
            if block in times:
                raise ValueError("the same block stands twice, written differently; keep one of them")
            times[block] = time
        except ValueError as problem:
            problems.append(f"entry `{shown(text)}`: {problem}")
    refuse(problems)
    return BlockTable(document.device, times, document.source)


def checked_time(value: object, strict: bool = True) -> Time:
    """The time that plain values hold; with `strict` off, numbers may be text.

    Raises:
        ValueError: a field is missing, unknown, no number, negative or not finite.
    """
    time = msgspec.convert(value, Time, strict=strict)
    if not all(isfinite(number) for number in (time.mean_ms, time.variance_ms2 or 0.0)):
        raise ValueError("a time must be finite")
    return time


def refuse(problems: list[str]) -> None:
    """End with what is wrong, if anything is.

    Raises:
        TableProblem: there are problems; the first of them and the number of the rest.
    """
    if problems:
        rest = len(problems) - PROBLEMS_SHOWN
        more = [f"and {rest:,} more"] if rest > 0 else []
        raise TableProblem("\n  ".join(["the latency table has errors:", *problems[:PROBLEMS_SHOWN], *more]))
