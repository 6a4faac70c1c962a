"""How slow this machine is now: limits of seconds in tests are meant for an ordinary core, with nothing else on it."""

from __future__ import annotations

import time

ADDITIONS, ORDINARY_S = 1_000_000, 0.035
"""Not measured on the Intel Xeon of `benchmarks/README.md`: set so that a machine on which `check` takes 0.70 s, and
0.29 there, comes out as 2.4 times as slow."""


def slowdown() -> float:
    """How many times as long Python takes here as on an ordinary core, the slowest of five looks; 1 at least."""
    return max(1.0, max(_seconds() for _ in range(5)) / ORDINARY_S)


def _seconds() -> float:
    started, total = time.process_time(), 0
    for number in range(ADDITIONS):
        total += number
    return time.process_time() - started
