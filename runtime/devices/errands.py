"""What a worker does on its way through the jobs: take a session, measure batches, look at the device's clock.

A device that dies or hangs loses its session; the worker takes another. A known kernel says how fast its clock
is, before the first measurement and after each batch: where it became slower, what was measured since is measured
again. Results come only out of batches that ended sound.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from compiler.target import Target
from runtime.console import Progress
from runtime.devices.facts import kind_of, unfit
from runtime.devices.jobs import Job, Jobs
from runtime.devices.tracker import NoneFree, RemoteDevice
from runtime.devices.worker import DeviceWorker, Errand, Step
from runtime.workers import START_S, WorkerFailed

DRIFT = 1.15
"""A device whose clock is slower by this factor than the fastest seen of its kind is not measured on."""
STRIKES = 3
"""Batches lost one after the other, or looks at a clock that is still slow, after which a device is used no more."""
REST_S = 20.0
"""How long a device whose clock is slow is left alone before the next look."""
ATTACH_S, CLOCK_S, FREE_S = 30.0, 30.0, 10.0
"""How long a session may take to begin, and the look at a clock; how long a free device is waited for."""


_HUNG_UP = ("rpc_endpoint.cc", "kShutdown", "Connection reset", "Broken pipe")


class Errands:
    """The errands of all workers; `live` names those that are still used."""

    def __init__(
        self,
        target: Target,
        device: RemoteDevice,
        said: Progress,
        jobs: Jobs,
        live: Callable[[], Sequence[DeviceWorker]],
    ) -> None:
        self._target, self._device, self._said, self._jobs, self._live = target, device, said, jobs, live
        self._best_ns = float("inf")
        self.kind = ""
        """The fingerprint of the devices' processor, once one is known."""
        self.reasons: list[str] = []
        """What befell devices, in the order of time."""

    def of(self, worker: DeviceWorker) -> Errand:
        """Take jobs as long as there are some; whatever fails on the way costs a strike.

        It takes none before it has its session: a device that hangs at that holds up nobody.
        """
        while not worker.retired and (job := self._jobs.next(worker, self._live())):
            try:
                if worker.launch():
                    yield None, START_S
                if job.remote and not worker.attached:
                    yield from self._attach(worker)
            except WorkerFailed as failure:
                none_free = failure.kind == NoneFree.__name__
                self._strike(worker, f"cannot be used ({in_words(failure)})", final=none_free)
                continue
            if worker.retired:
                return
            batch = self._jobs.take(worker, self._live())
            if not batch:
                return
            if not batch[0].remote:
                yield from self._here(worker, batch)
            elif worker.attached:
                yield from self._measured(worker, batch)
            else:
                self._jobs.put_back(batch)

    def _attach(self, worker: DeviceWorker) -> Errand:
        """Take a session, and look at the device's clock."""
        request = {
            "do": "attach", **self._device.to_json(), "target": self._target.to_json(), "wait_s": FREE_S
        }  # fmt: skip
        facts = (yield request, ATTACH_S)["facts"]
        kind = kind_of(facts)
        self.kind = self.kind or kind
        worker.attach(facts["name"], f"{kind} @{facts['name']}")
        if problem := unfit(facts, self._target, self.kind):
            self._strike(worker, problem, final=True)
        else:
            self._said.note(f"measuring on {worker.title}, of key `{self._device.key}`")
            yield from self._until_sound(worker)

    def _here(self, worker: DeviceWorker, batch: list[Job]) -> Errand:
        """Do what needs no device."""
        for job in batch:
            try:
                self._jobs.finish(job, (yield job.request(), job.seconds), worker)
            except WorkerFailed as failure:
                self._jobs.finish(job, failure, worker)

    def _measured(self, worker: DeviceWorker, batch: list[Job]) -> Errand:
        """Do a batch on the device, as far as time allows, and keep it where the device is as fast as before."""
        done: list[tuple[Job, Mapping[str, Any] | WorkerFailed]] = []
        current: Job | None = None
        try:
            for job in batch:
                if self._jobs.stopped(begun=bool(done)):
                    break
                current = job
                done.append((job, (yield from _outcome(job))))
            current = None
            slow = (yield from self._slow(worker)) if done else 0.0
        except WorkerFailed as failure:
            self._jobs.put_back([job for job in batch if job is not current])
            if current is not None:
                self._jobs.ended(current, failure, worker)
            self._strike(worker, f"lost its session ({in_words(failure)})")
            return
        if slow:
            self._jobs.put_back(batch)
            yield from self._until_sound(worker, slow)
            return
        worker.strikes = 0
        self._jobs.put_back(batch[len(done) :])
        for job, answer in done:
            self._jobs.finish(job, answer, worker)

    def _slow(self, worker: DeviceWorker) -> Generator[Step, dict[str, Any], float]:
        """By what factor the device's clock is slower than it should be; 0 where it is sound."""
        answer = yield {"do": "clock", "target": self._target.to_json()}, CLOCK_S
        self._best_ns = min(self._best_ns, answer["ns"])
        factor = float(answer["ns"] / self._best_ns)
        return factor if factor > DRIFT else 0.0

    def _until_sound(self, worker: DeviceWorker, slow: float | None = None) -> Errand:
        """Leave the device alone until its clock is sound, or it has been slow too often."""
        if slow is None:
            slow = yield from self._slow(worker)
        while slow:
            self._strike(worker, f"runs {slow:.2f} times slower than it should; it is left alone for a while")
            if worker.retired:
                return
            yield {"do": "rest", "seconds": REST_S}, REST_S + CLOCK_S
            slow = yield from self._slow(worker)

    def _strike(self, worker: DeviceWorker, reason: str, *, final: bool = False) -> None:
        """Count what befell a device; say so, and use it no more after too much of it."""
        worker.strikes += 1
        self.reasons.append(f"{worker.title} {reason}")
        self._said.note(self.reasons[-1])
        if final or worker.strikes >= STRIKES:
            worker.retired = True
            worker.stop()
            left = ", ".join(each.title for each in self._live()) or "no device"
            self._said.note(f"{worker.title} is used no more: {left} goes on")


def in_words(failure: WorkerFailed) -> str:
    """What befell a device, without what only TVM's developers, and ours, can read."""
    return "it hung up" if any(sign in failure.words for sign in _HUNG_UP) else failure.words


def _outcome(job: Job) -> Generator[Step, dict[str, Any], Mapping[str, Any] | WorkerFailed]:
    """The answer to a job, or its failure where the session goes on."""
    try:
        return (yield job.request(), job.seconds)
    except WorkerFailed as failure:
        if failure.died:
            raise
        return failure
