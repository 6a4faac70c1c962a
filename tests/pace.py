"""How slow this machine is now: limits of seconds in tests are meant for an ordinary core, with nothing else on it."""

from __future__ import annotations

import time

ADDITIONS, ORDINARY_S = 1_000_000, 0.035
"""CPython 3.11 on one core of an Intel Xeon at some 3 GHz."""


def slowdown() -> float:
    """How many times as long Python takes here as on an ordinary core, the slowest of five looks; 1 at least."""
    return max(1.0, max(_seconds() for _ in range(5)) / ORDINARY_S)


def _seconds() -> float:
    started, total = time.process_time(), 0
    for number in range(ADDITIONS):
        total += number
    return time.process_time() - started
