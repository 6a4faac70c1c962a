"""Which schedules of a kernel are worth a price: records say which are fast, a price in company says which is best.

The tuner tries a kernel by itself between sweeps of memory, once; what is fastest there is not always fastest
among the other kernels of a network, and the best of many noisy measurements is partly luck. Depthwise
kernels of MobileNetV2 run up to 1.8 times as fast in company by their default schedule as by the fastest tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from compiler.codegen.schedules import candidates
from compiler.codegen.schedules.template import Schedule
from compiler.kernel import Kernel
from compiler.target import Target
from runtime.records import Record, fastest

FINALISTS = 3
CLOSE = 1.15
"""Schedules within this factor of the fastest are priced."""

Shortlists = Mapping[str, Sequence[Schedule]]
"""By signature, the fastest first."""


def shortlists(kernels: Mapping[str, Kernel], target: Target, rows: Iterable[Record]) -> Shortlists:
    """Of each kernel the fastest schedules measured, where they are close, and the default.

    `rows` are records of one key.

    Raises:
        Unsupported: a kernel that no template writes.
    """
    best: dict[str, list[Record]] = {}
    for record in fastest(rows, FINALISTS):
        best.setdefault(record.signature, []).append(record)
    return {
        name: _shortlist(best.get(name, []), candidates(kernel, target)[0])
        for name, kernel in kernels.items()
    }


def _shortlist(best: Sequence[Record], default: Schedule) -> list[Schedule]:
    close = [record.schedule for record in best if record.median_ns <= CLOSE * best[0].median_ns]
    return close if default in close else [*close, default]
