"""Worker processes from the outside: started once, asked by lines of JSON, replaced when they crash or hang."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from runtime.device import cores

START_S = 120.0
"""How long a worker may take to start: TVM's import, on a loaded machine."""
REQUEST_S = 60.0


class WorkerFailed(Exception):
    """A request that failed: the generated code or the compiler raised, crashed or hung."""

    def __init__(self, reason: str, *, died: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.died = reason, died


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
        command = [sys.executable, "-P", "-m", "runtime.worker", ",".join(map(str, self.cores))]
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
            raise WorkerFailed(f"{answer['error']} ({answer['at']})")
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


class Workers:
    """As many workers as there are cores to build on, each pinned; use it in `with`.

    With several threads to a kernel there is one worker, on as many cores.
    """

    def __init__(self, threads: int = 1, most: int | None = None) -> None:
        available = cores()
        count = max(1, min(len(available) // threads, most or len(available)))
        groups = [available[index * threads : (index + 1) * threads] for index in range(count)]
        self.all = tuple(Worker(group, threads) for group in groups)

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
            for worker in self._ready(busy):
                index, deadline = busy.pop(worker)
                try:
                    yield index, worker, worker.receive(max(0.1, deadline - time.monotonic()))
                except WorkerFailed as failure:
                    yield index, worker, failure

    def _ready(self, busy: Mapping[Worker, tuple[int, float]]) -> list[Worker]:
        """Workers that have something to say, or whose time is over."""
        if not busy:
            return []
        rest = min(deadline for _, deadline in busy.values()) - time.monotonic()
        speaking = select.select([worker.output for worker in busy], [], [], max(0.0, rest))[0]
        now = time.monotonic()
        return [worker for worker in busy if worker.output in speaking or busy[worker][1] <= now]

    @property
    def first(self) -> Worker:
        """The one for single requests."""
        return self.all[0]
