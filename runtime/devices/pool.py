"""Workers whose code runs on remote devices of one kind, all of them at once, whatever befalls each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from compiler.target import Target
from runtime.console import Progress, Silent
from runtime.devices.dispatch import Dispatch
from runtime.devices.tracker import Connection, RemoteDevice
from runtime.devices.worker import DeviceWorker
from runtime.records import ANY_DEVICE
from runtime.workers import (
    REQUEST_S,
    Asked,
    Built,
    Measured,
    Outcome,
    RequestOf,
    Worker,
    WorkerFailed,
    Workers,
)

SETTLE_S = 2.0
"""How long a device that is busy may have been left only just now."""


def workers_of(
    target: Target, device: RemoteDevice | None, progress: Progress, most: int | None = None
) -> Workers:
    """Workers that run code for the target on this machine, or on remote devices; so many at most."""
    return Workers(target.threads, most) if device is None else Devices(target, device, progress, most)


class Devices(Workers):
    """All free devices of a key, each with a worker process of its own; use it in `with`.

    Raises:
        DeviceProblem: on entering: no tracker, no such key, none free or none that fits. Later: none is left.
    """

    def __init__(
        self,
        target: Target,
        device: RemoteDevice,
        progress: Progress | None = None,
        most: int | None = None,
    ) -> None:
        self._target, self._device, self._said, self._most = target, device, progress or Silent(), most
        self._numbers = count()
        self._dispatch = Dispatch((), target, device, self._said)

    def __enter__(self) -> Devices:
        free = self._free()
        free = min(free, self._most or free)
        self._folder = TemporaryDirectory(prefix="onepath-")
        workers = [DeviceWorker(self._target.threads) for _ in range(free)]
        self._dispatch = Dispatch(workers, self._target, self._device, self._said)
        try:
            for worker in workers:
                worker.start()
            # One of them is enough to begin with; the others come as they are ready.
            for _ in self._dispatch.perform([{"do": "ping"}], REQUEST_S):
                pass
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, value, trace)
        self._folder.cleanup()

    def _free(self) -> int:
        """How many devices of the key are free, one at least; sessions that are just ending are waited for."""
        deadline = time.monotonic() + SETTLE_S
        with Connection(self._device.tracker) as tracker:
            while True:
                busy = [device.busy for device in tracker.of_key(self._device.key)]
                if not any(busy) or time.monotonic() > deadline:
                    return max(1, busy.count(False))
                time.sleep(SETTLE_S / 20)

    @property
    def all(self) -> tuple[DeviceWorker, ...]:  # type: ignore[override]
        """The workers, of which some may have retired."""
        return self._dispatch.workers

    @property
    def live(self) -> list[DeviceWorker]:
        """Those that are still used."""
        return self._dispatch.live

    @property
    def processor(self) -> str:
        """What records call the devices of this kind."""
        return self._dispatch.errands.kind + ANY_DEVICE

    @property
    def recorder(self) -> str:
        """One of the devices."""
        return next(worker.processor for worker in self.all if worker.processor)

    @property
    def first(self) -> Asked:
        """Whichever device is free first."""
        return self

    def perform(self, requests: Sequence[Mapping[str, Any]], seconds: float) -> Iterator[Any]:
        """Have each request answered by some device, all devices at once."""
        return self._dispatch.perform(requests, seconds)

    def ask(self, request: Mapping[str, Any], seconds: float = REQUEST_S) -> dict[str, Any]:
        """The answer of some device; of another one, where the first died.

        Raises:
            WorkerFailed: the request failed.
            DeviceProblem: no device is left.
        """
        (done,) = self._dispatch.perform([request], seconds)
        if isinstance(done.answer, WorkerFailed):
            raise done.answer
        return dict(done.answer or {})

    def each(
        self, requests: Sequence[Mapping[str, Any]], seconds: float = REQUEST_S
    ) -> Iterator[tuple[int, Worker, dict[str, Any] | WorkerFailed]]:
        """Answer all requests, which need no device, on all workers."""
        for done in self._dispatch.perform(requests, seconds, remote=False):
            assert done.worker is not None
            answer = done.answer if isinstance(done.answer, WorkerFailed) else dict(done.answer or {})
            yield done.job.index, done.worker, answer

    def build(
        self, requests: Sequence[Mapping[str, Any]], seconds: float = REQUEST_S
    ) -> Iterator[tuple[int, Built | WorkerFailed]]:
        """Link the probes of all requests here, for whichever device will run them."""
        folder = Path(self._folder.name)
        paths = [str(folder / f"{next(self._numbers)}.so") for _ in requests]
        named = [{**request, "path": path} for request, path in zip(requests, paths, strict=True)]
        for index, found in super().build(named, seconds):
            if isinstance(found, Built):
                code = {"library": paths[index], "kernels": len(requests[index]["kernels"])}
                yield index, replace(found, answer={**code, "memory": found.answer["memory"]})
            else:
                yield index, found

    def measure(
        self,
        built: Sequence[Built],
        request_of: RequestOf,
        seconds: float = REQUEST_S,
        over: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Outcome]]:
        """Run probes on all devices at once; yields (index, what came of it) once a batch has ended sound."""

        def request(each: Built) -> Callable[[], Mapping[str, Any]]:
            return lambda: {"do": "measure", "name": str(each.index), **each.answer, **request_of(each.index)}

        for done in self._dispatch.perform([request(each) for each in built], seconds, over=over):
            index, answer = built[done.job.index].index, done.answer
            if answer is None or isinstance(answer, WorkerFailed):
                yield index, answer
            else:
                assert done.worker is not None
                yield index, Measured(answer["times"], done.worker.processor)

    def forget(self, built: Sequence[Built]) -> None:
        """Remove the libraries."""
        for each in built:
            Path(each.answer["library"]).unlink(missing_ok=True)
