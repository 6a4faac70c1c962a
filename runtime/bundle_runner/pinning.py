"""Threads and cores: one core each, so that threads which wait for one another never share one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def kept_to(cores: Sequence[int]) -> Iterator[None]:
    """Keep this thread, and those that it starts meanwhile, to some processors for a while.

    With none, and where the system does not offer it, nothing is done. Two changes and the question where the
    thread may run now take about 3 us together.

    Raises:
        OSError: the processors are not there.
    """
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def spread(cores: Sequence[int], start_threads: Callable[[], Any]) -> None:
    """Keep this thread to the first core, and those that the call starts to one of the others each, for good.

    Left to the system, two threads may share a core for seconds after their process was stopped and went on.
    With fewer than two cores, and where as many threads do not start, since which of them compute is not known
    then, nothing is pinned.
    """
    before = running_threads()
    start_threads()
    started = sorted(running_threads() - before)
    if len(cores) > 1 and len(started) == len(cores) - 1:
        pin(started, cores[1:])
        os.sched_setaffinity(0, {cores[0]})


def pin(threads: Sequence[int], cores: Sequence[int]) -> None:
    """Keep each thread, by Linux's number, to the core at its place; those without a core stay as they are."""
    for thread, core in zip(threads, cores):  # noqa: B905  Python 3.9 has no `strict`
        os.sched_setaffinity(thread, {core})


def running_threads() -> set[int]:
    """The threads of this process as Linux numbers them; none where Linux is not."""
    try:
        return {int(name) for name in os.listdir("/proc/self/task")}
    except OSError:
        return set()
