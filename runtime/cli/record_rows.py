"""Records as the commands about them show and choose them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.records import Record


def fields(record: Record) -> dict[str, Any]:
    """A record as answers show it."""
    target = _target(record)
    return {
        "kernel": record.signature,
        "cpu": target.get("cpu", ""),
        "threads": target.get("threads", 0),
        "tvm": record.key.tvm,
        "processor": record.key.processor,
        "median_ms": record.median_ns / 1e6,
        "schedule": json.loads(record.schedule.text),
        "measured": record.measured,
        "origin": _origin(record),
    }


def _target(record: Record) -> dict[str, Any]:
    """The target of a record by its key; a pack may hold any text there."""
    try:
        found = json.loads(record.key.target)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


def _origin(record: Record) -> str:
    """Where a record came from, in a few words."""
    from runtime.records.pack import provenance_of

    source = provenance_of(record.origin)
    if source is None:
        return "measured here" if not record.origin else "imported"
    note = f": {source.note}" if source.note else ""
    return f"imported, from onepath {source.program} on {source.processor}, {source.exported[:10]}{note}"


def selected(
    rows: Sequence[Record], target: str | None, threads: int | None, processor: str | None, kernel: str | None
) -> list[Record]:
    """The records that the options of a command mean."""
    from runtime.device import fingerprint

    wanted = fingerprint() if processor == "here" else processor or ""
    return [
        row
        for row in rows
        if target in (None, _target(row).get("cpu"))
        and threads in (None, _target(row).get("threads"))
        and wanted.casefold() in row.key.processor.casefold()
        and (kernel or "") in row.signature
    ]
