"""Threads and cores: one core each, so that threads which wait for one another never share one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any


def spread(cores: Sequence[int], start_threads: Callable[[], Any]) -> None:
    """Keep this thread to the first core, and those that the call starts to one of the others each.

    Left to the system, two threads may share a core for seconds after their process was stopped and went on.
    With fewer than two cores, and where as many threads do not start, since which of them compute is not known
    then, nothing is pinned.
    """
    before = _threads()
    start_threads()
    started = sorted(_threads() - before)
    if len(cores) > 1 and len(started) == len(cores) - 1:
        for thread, core in zip(started, cores[1:]):  # noqa: B905  Python 3.9 has no `strict`
            os.sched_setaffinity(thread, {core})
        os.sched_setaffinity(0, {cores[0]})


def _threads() -> set[int]:
    """The threads of this process as Linux numbers them; none where Linux is not."""
    try:
        return {int(name) for name in os.listdir("/proc/self/task")}
    except OSError:
        return set()
