"""Whole networks timed on remote devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from runtime.budget import Budget
from runtime.console import Progress
from runtime.devices.pool import Devices
from runtime.rounds import middle
from runtime.workers import WorkerFailed

ONE_S = 120.0
"""How long a network may take, with all that travels."""


@dataclass(frozen=True)
class NetworkTime:
    """The median of a network's runs in milliseconds, and the processor they are of, as records name it."""

    ms: float
    processor: str


def time_networks(
    devices: Devices,
    paths: Sequence[Path],
    shapes: Sequence[tuple[int, ...]],
    rounds: int,
    said: Progress,
    budget: Budget | None = None,
) -> list[NetworkTime]:
    """Run each compiled network in every round on whichever device is free; the middle median of each counts.

    Once the budget has ended no further round is begun.

    Raises:
        WorkerFailed: one cannot be run.
        DeviceProblem: no device is left.
    """
    found: list[list[NetworkTime]] = [[] for _ in paths]
    requests = [
        {"do": "network", "path": str(path), "shape": list(shape)}
        for path, shape in zip(paths, shapes, strict=True)
    ]
    for number in range(rounds):
        if number and budget is not None and budget.left_s < 0:
            break
        for done in devices.perform(requests, ONE_S):
            if isinstance(done.answer, WorkerFailed):
                raise done.answer
            assert done.answer is not None
            assert done.worker is not None
            times = done.answer["times"]
            found[done.job.index].append(NetworkTime(median(times) / 1e6, done.worker.processor))
            count = sum(map(len, found))
            said.update(count, rounds * len(paths), kind="timing sample networks")
    return [middle(times, lambda time: time.ms) for times in found]
