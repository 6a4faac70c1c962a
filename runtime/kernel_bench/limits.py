"""The machine's limits on so many threads: peak of fp32 arithmetic, bandwidth of each level of memory.

Every thread works on a core of its own, at the same time as the others, on as much data as fits its share of
the level. Reading is what is measured; writing is slower, so that the bounds made of it are lower ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compiler.target import Target
from runtime.device import last_cache_bytes
from runtime.measure import MEMORY_BYTES
from runtime.workers import Worker, Workers

L2, L3, MEMORY = "L2", "L3", "memory"
PEAK_RUNS = 6000
"""Of about 30 us each: long enough for the workers of several threads to run at the same time."""
READ_BYTES = 8 << 30
"""What each thread reads of a level in all."""
FEWEST_READS = 40
OUTSIDE_L2 = 3
"""Of what is this many times as large as the L2, read again and again from start to end, nothing stays in it."""


@dataclass(frozen=True)
class Level:
    """A level of memory: what it holds for all threads together, and how fast they read it."""

    name: str
    size_bytes: int
    gb_s: float


@dataclass(frozen=True)
class Limits:
    """What the threads can do together; `levels` from the nearest to memory, whose size does not matter."""

    threads: int
    peak_gflops: float
    levels: tuple[Level, ...]

    def holding(self, size_bytes: int) -> Level:
        """The nearest level that holds so much."""
        return next((level for level in self.levels[:-1] if size_bytes <= level.size_bytes), self.levels[-1])


def measure_limits(target: Target, threads: int) -> Limits:
    """Measure the limits; takes some seconds.

    Raises:
        WorkerFailed: the measuring code could not be run.
    """
    single, shared = replace(target, threads=1), last_cache_bytes()
    sizes = cache_sizes(target.l2_bytes * threads, shared)
    with Workers(1, threads) as workers:
        peak = _together(
            workers.all, {"do": "peak", "target": single.to_json(), "repeats": PEAK_RUNS}, "gflops"
        )
        levels = [
            Level(name, size, _read(workers.all, single, read_bytes(size, sizes[L2])))
            for name, size in sizes.items()
        ]
        levels.append(Level(MEMORY, 0, _read(workers.all, single, max(MEMORY_BYTES, 4 * shared))))
    return Limits(threads, peak, tuple(levels))


def cache_sizes(l2_bytes: int, last_bytes: int) -> dict[str, int]:
    """The sizes of the caches by level, of all threads' together; an L3 that is smaller than the L2 is none."""
    return {L2: l2_bytes} | ({L3: last_bytes} if last_bytes > l2_bytes else {})


def read_bytes(size_bytes: int, l2_bytes: int) -> int:
    """How much is read of a cache: half of it, but of a large one no more than what surely lies outside of the L2.

    A virtual machine states the L3 of a processor that it shares with others, and has but a part of it.
    """
    return min(size_bytes // 2, OUTSIDE_L2 * l2_bytes)


def _read(workers: Sequence[Worker], target: Target, size_bytes: int) -> float:
    share = size_bytes // len(workers)
    repeats = max(FEWEST_READS, min(PEAK_RUNS, READ_BYTES // share))
    request = {"do": "bandwidth", "target": target.to_json(), "bytes": share, "repeats": repeats}
    return _together(workers, request, "gb_s")


def _together(workers: Sequence[Worker], request: Mapping[str, Any], answer: str) -> float:
    """The sum of what the workers do at the same time, each by its median."""
    for worker in workers:
        worker.send(request)
    return sum(float(np.median(worker.receive()[answer])) for worker in workers)
