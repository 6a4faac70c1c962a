"""What is to be done on some devices: handed out, put back where a device failed, done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtime.devices.worker import DeviceWorker
from runtime.workers import WorkerFailed

BATCH = 6
"""Measurements that a device makes between two looks at its clock, and so the most that a drift costs."""
LIVES = 3
"""A job is given up once it was running when so many sessions ended: on different devices, where there are some."""


@dataclass(eq=False)
class Job:
    """One request: made when its turn comes, and answered by one device.

    `remote` says whether it needs a device, or only the process here.
    """

    index: int
    request: Callable[[], Mapping[str, Any]]
    seconds: float
    remote: bool = True
    ended: list[DeviceWorker] = field(default_factory=list)


@dataclass(frozen=True)
class Done:
    """What came of a job: the answer, or its failure, and the device; nothing of it where time was over first."""

    job: Job
    answer: Mapping[str, Any] | WorkerFailed | None
    worker: DeviceWorker | None


class Jobs:
    """The jobs that wait, those that are running, and those that are done."""

    def __init__(self) -> None:
        self.waiting: deque[Job] = deque()
        self.running: set[Job] = set()
        self.done: deque[Done] = deque()
        self.over: Callable[[], bool] = lambda: False
        self._begun = False
        self._over_since: float | None = None

    def add(self, jobs: Iterable[Job], over: Callable[[], bool]) -> None:
        """Have these done, with nothing but the first begun once time is `over`."""
        self.waiting.extend(jobs)
        self.over, self._begun, self._over_since = over, False, None

    @property
    def left(self) -> int:
        """Jobs without an answer."""
        return len(self.waiting) + len(self.running)

    def stopped(self, begun: bool = False) -> bool:
        """Whether time is over, and something has been done, or `begun` at least: no more is."""
        return (self._begun or begun) and self.over()

    @property
    def overtime_s(self) -> float | None:
        """For how many seconds time has been over; None while more is begun."""
        if not self.stopped():
            return None
        if self._over_since is None:
            self._over_since = time.monotonic()
        return time.monotonic() - self._over_since

    def next(self, worker: DeviceWorker, live: Sequence[DeviceWorker]) -> Job | None:
        """The first job that a worker would take; None where there is none, or time is over."""
        if self.stopped():
            return None
        return next((job for job in self.waiting if self._may(job, worker, live)), None)

    def take(self, worker: DeviceWorker, live: Sequence[DeviceWorker]) -> list[Job]:
        """A fair share of what a device may do: not what it died of, as long as another one is left for that."""
        first = self.next(worker, live)
        if first is None:
            return []
        fitting = [job for job in self.waiting if self._may(job, worker, live)]
        most = BATCH if first.remote else 1
        chosen = fitting[: min(most, -(-len(self.waiting) // len(live)))]
        for job in chosen:
            self.waiting.remove(job)
            self.running.add(job)
        return chosen

    def _may(self, job: Job, worker: DeviceWorker, live: Sequence[DeviceWorker]) -> bool:
        return worker not in job.ended or all(each in job.ended for each in live)

    def put_back(self, jobs: Sequence[Job]) -> None:
        """Have them done again, before the others."""
        self.running.difference_update(jobs)
        self.waiting.extendleft(reversed(jobs))

    def finish(self, job: Job, answer: Mapping[str, Any] | WorkerFailed, worker: DeviceWorker) -> None:
        """It has its answer."""
        self._begun = True
        self.running.discard(job)
        self.done.append(Done(job, answer, worker))

    def ended(self, job: Job, failure: WorkerFailed, worker: DeviceWorker) -> None:
        """A session ended while it ran: another device tries, unless that was so before."""
        job.ended.append(worker)
        if job.remote and len(job.ended) < LIVES:
            self.running.discard(job)
            self.waiting.append(job)
        else:
            self.finish(job, failure, worker)

    def abandon(self) -> None:
        """What has no answer stays undone."""
        self.done.extend(Done(job, None, None) for job in (*self.running, *self.waiting))
        self.running.clear()
        self.waiting.clear()
