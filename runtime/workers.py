"""Worker processes from the outside: started once, asked by lines of JSON, replaced when they crash or hang."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

from runtime.device import cores, fingerprint

START_S = 120.0
"""How long a worker may take to start: TVM's import, on a loaded machine."""
REQUEST_S = 60.0


class WorkerFailed(Exception):
    """A request that failed: the generated code or the compiler raised, crashed or hung.

    `words` say what happened; where something was raised, `kind` is its class and `at` the line. `died` says
    whether the process, or its session on a device, has ended.
    """

    def __init__(self, words: str, *, kind: str = "", at: str = "", died: bool = False) -> None:
        self.words, self.kind, self.at, self.died = words, kind, at, died
        super().__init__(self.reason)

    @property
    def reason(self) -> str:
        """All that is known of it, for those who look for the cause."""
        return (f"{self.kind}: " if self.kind else "") + self.words + (f" ({self.at})" if self.at else "")


@dataclass(frozen=True)
class Built:
    """A probe that a worker built: the place of its request among the others, and which process of which worker.

    `answer` is what the worker said of it.
    """

    index: int
    worker: Worker
    generation: int
    answer: Mapping[str, Any]

    @property
    def lost(self) -> bool:
        """Whether the process that built it has ended."""
        return self.worker.generation != self.generation


@dataclass(frozen=True)
class Measured:
    """Rows of nanoseconds, one column a kernel, and the processor that they are of, as records name it."""

    times: Sequence[Sequence[int]]
    processor: str


RequestOf = Callable[[int], Mapping[str, Any]]
"""What to ask of the probe that was built for the request at a place."""
Outcome = Measured | WorkerFailed | None
"""What came of a measurement; None where time was over."""


class Worker:
    """One process; it is started again after it died. `generation` counts the processes that ended."""

    def __init__(self, cores: Sequence[int], threads: int = 1) -> None:
        self.cores, self.threads = tuple(cores), threads
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._starting = False
        self.generation = 0

    def start(self) -> None:
        """Start the process without waiting for it."""
        self._buffer = b""
        root = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        environment = {
            **os.environ,
            "PYTHONPATH": path,
            "TVM_NUM_THREADS": str(self.threads),
            "TVM_BIND_THREADS": "0",
            "OMP_NUM_THREADS": "1",
            # Times must not depend on which small pages a process gets (glibc 2.35; others ignore it).
            "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        }
        command = [sys.executable, "-P", "-m", "runtime.worker_process"]
        if self.cores:
            command.append(",".join(map(str, self.cores)))
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        self._send({"do": "ping"})
        self._starting = True

    def _send(self, request: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._gone() from None

    def _receive(self, seconds: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            rest = deadline - time.monotonic()
            if rest <= 0 or not select.select([self._process.stdout], [], [], rest)[0]:
                self.stop()
                raise WorkerFailed(f"no answer within {seconds:g} s", died=True)
            data = os.read(self._process.stdout.fileno(), 1 << 16)
            if not data:
                raise self._gone()
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _gone(self) -> WorkerFailed:
        code = self._process.wait() if self._process is not None else 0
        self.stop()
        reason = f"died of signal {-code}" if code < 0 else f"ended with status {code}"
        return WorkerFailed(f"the worker process {reason}", died=True)

    def send(self, request: Mapping[str, Any]) -> None:
        """Give the worker work; `receive` takes the answer. Starts the process where none runs.

        Raises:
            WorkerFailed: the process cannot be reached.
        """
        if self._process is None:
            self.start()
        if self._starting:
            self._receive(START_S)
            self._starting = False
        self._send(request)

    def receive(self, seconds: float = REQUEST_S) -> dict[str, Any]:
        """The answer to what was sent.

        Raises:
            WorkerFailed: the request failed, or the process crashed or did not answer in time.
        """
        if self._process is None:
            raise WorkerFailed("the worker process is gone", died=True)
        answer = self._receive(seconds)
        if not answer["ok"]:
            if answer["lost"]:
                self.stop()
            words, kind, at, lost = (answer[name] for name in ("words", "kind", "at", "lost"))
            raise WorkerFailed(words, kind=kind, at=at, died=lost)
        return answer

    def ask(self, request: Mapping[str, Any], seconds: float = REQUEST_S) -> dict[str, Any]:
        """Send and receive.

        Raises:
            WorkerFailed: as `receive`.
        """
        self.send(request)
        return self.receive(seconds)

    @property
    def output(self) -> int:
        """The file descriptor that answers arrive on."""
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def stop(self) -> None:
        """End the process, and with it all it has built."""
        process, self._process = self._process, None
        if process is None:
            return
        self.generation += 1
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        process.kill()
        process.wait()


class Asked(Protocol):
    """Whoever answers a single request: a worker, or the first of some devices that can."""

    def ask(self, request: Mapping[str, Any], seconds: float = REQUEST_S) -> dict[str, Any]:
        """The answer.

        Raises:
            WorkerFailed: the request failed.
        """


class Workers:
    """As many workers as there are cores to build on, each pinned; use it in `with`.

    With several threads to a kernel there is one worker, on as many cores.
    """

    def __init__(self, threads: int = 1, most: int | None = None) -> None:
        available = cores()
        count = max(1, min(len(available) // threads, most or len(available)))
        groups = [available[index * threads : (index + 1) * threads] for index in range(count)]
        self.all: tuple[Worker, ...] = tuple(Worker(group, threads) for group in groups)

    def __enter__(self) -> Workers:
        for worker in self.all:
            worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.all:
            worker.stop()

    def each(
        self, requests: Sequence[Mapping[str, Any]], seconds: float = REQUEST_S
    ) -> Iterator[tuple[int, Worker, dict[str, Any] | WorkerFailed]]:
        """Answer all requests on all workers; yields (index of the request, worker, answer or failure)."""
        waiting = list(reversed(range(len(requests))))
        busy: dict[Worker, tuple[int, float]] = {}
        while waiting or busy:
            for worker in self.all:
                if waiting and worker not in busy:
                    index = waiting.pop()
                    try:
                        worker.send(requests[index])
                        busy[worker] = index, time.monotonic() + seconds
                    except WorkerFailed as failure:
                        yield index, worker, failure
            for worker in speaking(busy):
                index, deadline = busy.pop(worker)
                try:
                    yield index, worker, worker.receive(max(0.1, deadline - time.monotonic()))
                except WorkerFailed as failure:
                    yield index, worker, failure

    def build(
        self, requests: Sequence[Mapping[str, Any]], seconds: float = REQUEST_S
    ) -> Iterator[tuple[int, Built | WorkerFailed]]:
        """Build the probes of all requests on all workers; yields (index of the request, what came of it)."""
        for index, worker, answer in self.each(requests, seconds):
            if isinstance(answer, WorkerFailed):
                yield index, answer
            else:
                yield index, Built(index, worker, worker.generation, answer)

    def measure(
        self,
        built: Sequence[Built],
        request_of: RequestOf,
        seconds: float = REQUEST_S,
        over: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Outcome]]:
        """Run probes one at a time, with nothing else running; yields (index, what came of it).

        A request is made when its turn comes. Once time is `over`, nothing but the first is run.
        """
        processor, begun = self.processor, False
        for each in built:
            if each.lost or (begun and over()):
                yield each.index, None
                continue
            begun = True
            request = {"do": "measure", "name": str(each.index), **request_of(each.index)}
            try:
                yield each.index, Measured(each.worker.ask(request, seconds)["times"], processor)
            except WorkerFailed as failure:
                yield each.index, failure

    def forget(self, built: Sequence[Built]) -> None:
        """Free what was built."""
        for each in built:
            with suppress(WorkerFailed):
                if not each.lost:
                    each.worker.ask({"do": "forget", "name": str(each.index)})

    @property
    def processor(self) -> str:
        """What records call the processor that is measured on; of several devices, all of their kind."""
        return fingerprint()

    @property
    def recorder(self) -> str:
        """What a record of a failure says where it failed."""
        return self.processor

    @property
    def first(self) -> Asked:
        """The one for single requests."""
        return self.all[0]


AnyWorker = TypeVar("AnyWorker", bound=Worker)


def speaking(busy: Mapping[AnyWorker, tuple[Any, float]], most_s: float = float("inf")) -> list[AnyWorker]:
    """Wait for workers, each with its deadline, until some have something to say or their time is over: those.

    None of them where neither happens within `most_s` seconds.
    """
    if not busy:
        return []
    rest = min(deadline for _, deadline in busy.values()) - time.monotonic()
    rest = max(0.0, min(rest, most_s))
    heard = select.select([worker.output for worker in busy], [], [], rest)[0]
    now = time.monotonic()
    return [worker for worker in busy if worker.output in heard or busy[worker][1] <= now]
