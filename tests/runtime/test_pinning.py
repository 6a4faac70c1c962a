"""Threads keep to a core each, and nothing is pinned that shares all it has."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from runtime.bundle_runner.pinning import kept_to, spread

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or not os.path.isdir("/proc/self/task"),
    reason="only Linux lists threads and pins them",
)


@pytest.fixture
def cores() -> Iterator[list[int]]:
    before = os.sched_getaffinity(0)
    yield sorted(before)
    os.sched_setaffinity(0, before)


def affinities(cores: list[int]) -> tuple[set[int], set[int]]:
    """What this thread and one that it starts may run on after `spread`."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    try:
        spread(cores, thread.start)
        assert thread.native_id is not None
        return os.sched_getaffinity(0), os.sched_getaffinity(thread.native_id)
    finally:
        end.set()
        thread.join()


def test_each_thread_has_a_core_of_its_own(cores: list[int]) -> None:
    if len(cores) < 2:
        pytest.skip("one core is all there is")
    assert affinities(cores[:2]) == ({cores[0]}, {cores[1]})


@pytest.mark.parametrize("given", [0, 1])
def test_with_one_core_or_none_nothing_is_pinned(cores: list[int], given: int) -> None:
    assert affinities(cores[:given]) == (set(cores), set(cores))


def test_a_process_keeps_to_cores_for_a_while(cores: list[int]) -> None:
    with kept_to(cores[-1:]):
        assert os.sched_getaffinity(0) == set(cores[-1:])
    assert os.sched_getaffinity(0) == set(cores)
