"""Jobs handed out to workers, each with a session on a remote device, until every job has its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from compiler.target import Target
from dsl.suggest import counted
from runtime.console import Progress
from runtime.devices.errands import STRIKES, Errands
from runtime.devices.jobs import Done, Job, Jobs
from runtime.devices.tracker import DeviceProblem, RemoteDevice
from runtime.devices.worker import DeviceWorker, Errand
from runtime.workers import WorkerFailed, speaking

Request = Mapping[str, Any]
LOOK_S, OVERTIME_S = 1.0, 5.0
"""How often the clock is looked at while devices work; how long what is running may go on once time is over."""


class Dispatch:
    """Some workers, what each of them is about, and the jobs."""

    def __init__(
        self, workers: Sequence[DeviceWorker], target: Target, device: RemoteDevice, said: Progress
    ) -> None:
        self.workers, self._key, self._jobs = tuple(workers), device.key, Jobs()
        self.errands = Errands(target, device, said, self._jobs, lambda: self.live)
        self._busy: dict[DeviceWorker, tuple[tuple[Errand, float], float]] = {}

    @property
    def live(self) -> list[DeviceWorker]:
        """Those that are still used."""
        return [worker for worker in self.workers if not worker.retired]

    def perform(
        self,
        requests: Sequence[Request | Callable[[], Request]],
        seconds: float,
        *,
        remote: bool = True,
        over: Callable[[], bool] = lambda: False,
    ) -> Iterator[Done]:
        """Have requests answered, each within so many seconds; once time is `over`, begin no more after the first.

        A device that rests or is started anew meanwhile goes on afterwards.

        Raises:
            DeviceProblem: no device is left.
        """
        made = [request if callable(request) else _constant(request) for request in requests]
        self._jobs.add([Job(index, request, seconds, remote) for index, request in enumerate(made)], over)
        while self._jobs.left:
            for worker in self.live:
                if worker not in self._busy:
                    self._go_on(worker, self.errands.of(worker), None)
            yield from self._finished()
            if self._jobs.left and not self.live:
                raise self._none_left()
            overtime_s = self._jobs.overtime_s
            if overtime_s is not None and (not self._busy or overtime_s > OVERTIME_S):
                self._abandon()
            for worker in speaking(self._busy, LOOK_S):
                self._hear(worker)
            yield from self._finished()

    def _finished(self) -> Iterator[Done]:
        while self._jobs.done:
            yield self._jobs.done.popleft()

    def _hear(self, worker: DeviceWorker) -> None:
        (errand, seconds), deadline = self._busy.pop(worker)
        answer: dict[str, Any] | WorkerFailed
        try:
            answer = worker.receive(max(0.1, deadline - time.monotonic()))
        except WorkerFailed as failure:
            late = time.monotonic() >= deadline
            answer = WorkerFailed(f"no answer within {seconds:g} s", died=True) if late else failure
        self._go_on(worker, errand, answer)

    def _go_on(
        self, worker: DeviceWorker, errand: Errand, answer: dict[str, Any] | WorkerFailed | None
    ) -> None:
        """Take an errand to its next request, and send that."""
        while True:
            try:
                if isinstance(answer, WorkerFailed):
                    request, seconds = errand.throw(answer)
                else:
                    request, seconds = errand.send(answer)  # type: ignore[arg-type]
            except StopIteration:
                return
            try:
                if request is not None:
                    worker.send(request)
                self._busy[worker] = (errand, seconds), time.monotonic() + seconds
                return
            except WorkerFailed as failure:
                answer = failure

    def _abandon(self) -> None:
        """Leave undone what is not done, and give up the sessions that are still busy with it."""
        for worker, ((errand, _), _) in self._busy.items():
            errand.close()
            worker.stop()
        self._busy.clear()
        self._jobs.abandon()

    def _none_left(self) -> DeviceProblem:
        reasons = "; ".join(dict.fromkeys(self.errands.reasons[-STRIKES:]))
        left = self._jobs.left
        self._jobs.abandon()
        self._jobs.done.clear()
        return DeviceProblem(
            f"no device of key `{self._key}` is left, with {counted(left, 'request')} not done: {reasons}. What was "
            "measured is kept; once there is a device, the same command goes on from there"
        )


def _constant(request: Request) -> Callable[[], Request]:
    return lambda: request
