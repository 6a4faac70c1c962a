"""TVM's worker threads: how many take part, and which core each keeps to."""

from __future__ import annotations

import os
import threading

from runtime.bundle_runner.manifest import BundleProblem
from runtime.bundle_runner.pinning import kept_to, pin, running_threads
from runtime.bundle_runner.tvm_runtime import Runtime

_ANY_CORE = 1
"""`kBig` of tvm/runtime/threading_backend.h: which cores TVM would pin to, if it were to pin."""
_STARTING = threading.Lock()
"""Held while threads start: those that are new are then the pool's."""


class ThreadPool(threading.local):
    """The pool of the Python thread that asks: TVM keeps one for each thread that runs models.

    The asking thread computes too, as the first of the pool. The others are started once, by the first model of
    several threads, and serve every later model of that Python thread.
    """

    most = 1
    """The most threads of a model in this process."""

    def __init__(self) -> None:
        self._size = 1
        self._workers: list[int] = []
        self._placed: tuple[int, tuple[int, ...], int] | None = None
        self._own: tuple[int, ...] = ()

    @classmethod
    def allow(cls, threads: int) -> None:
        """Let pools have as many threads from now on; left to itself, TVM takes all cores and pins to them."""
        cls.most = max(cls.most, threads)
        os.environ.update({"TVM_NUM_THREADS": str(cls.most), "TVM_BIND_THREADS": "0"})

    def place(self, runtime: Runtime, threads: int, cores: tuple[int, ...]) -> tuple[int, ...]:
        """Let `threads` of the pool take part in what this thread runs next, each on its core where there are some.

        Returns:
            The cores that this thread is to keep to while it computes; none: wherever.

        Raises:
            BundleProblem: the pool was started for a model of fewer threads.
        """
        wanted = threads, cores, self.most
        if wanted != self._placed:
            if self.most > 1:
                self._configure(runtime, threads, cores)
            self._own = self._pin(threads, cores)
            self._placed = wanted
        return self._own

    def _configure(self, runtime: Runtime, threads: int, cores: tuple[int, ...]) -> None:
        if self._size > 1 and threads > self._size:
            raise BundleProblem(
                f"this thread began with a model of {self._size} threads and cannot run one of {threads}; load "
                "that of the most threads first, or run it in a Python thread of its own"
            )
        configure = runtime.function("runtime.config_threadpool")
        with _STARTING, kept_to(cores):
            before = running_threads()
            runtime.call(configure, _ANY_CORE, threads)
            if self._size == 1:
                self._size, self._workers = self.most, sorted(running_threads() - before)

    def _pin(self, threads: int, cores: tuple[int, ...]) -> tuple[int, ...]:
        """Pin the workers that take part; which of several new threads they are is known by their number alone."""
        if threads == 1 or len(self._workers) != self._size - 1:
            return cores
        if cores:
            pin(self._workers, cores[1:threads])
            return cores[:1]
        self._free()
        return ()

    def _free(self) -> None:
        """Let workers that an earlier model pinned run wherever this thread may."""
        if self._placed is not None and self._placed[1]:
            for worker in self._workers:
                os.sched_setaffinity(worker, os.sched_getaffinity(0))


POOL = ThreadPool()
