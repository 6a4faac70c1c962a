"""The latencies that limits are about, from the tables that a file's targets have."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cli.common import read_source
from runtime.cli.costs import NoTable, Priced, priced_table

if TYPE_CHECKING:
    from compiler.architecture import Architecture
    from compiler.ir.graph import Limit, SpaceGraph
    from compiler.limits import Latency


def latencies(file: Path) -> Latency:
    """What the table of a limit's target predicts for a network: the target's `latency_table`, or that of the run."""
    from compiler.frontend import sound
    from compiler.predict import predict

    @cache
    def table(target: str) -> Priced | None:
        try:
            return priced_table(file, sound(read_source(file)), target, None)
        except NoTable:
            return None

    def latency(limit: Limit, space: SpaceGraph, architecture: Architecture) -> float | None:
        priced = table(limit.target or "host")
        return None if priced is None else predict(priced.table, space, architecture.choices).latency_ms

    return latency
