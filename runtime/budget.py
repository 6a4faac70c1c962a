"""A budget of seconds for several pieces of work, and the account of what was spent of it.

The account is a file beside the run, written as the work goes on: what an interrupted run spent is not given again,
and the time in which none ran is not charged. Without a file a budget is this run's alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ACCOUNT_EVERY_S = 0.5
"""How often the account is written at most; what a kill leaves unwritten is less than this and one measurement."""


class Budget:
    """So many seconds from now on, less what the account says was spent; endless where `seconds` is None."""

    def __init__(
        self,
        seconds: float | None = None,
        account: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds, self._account, self._clock = seconds, account, clock
        self._begin, self._written = clock(), float("-inf")
        self._before_s = 0.0 if account is None else spent_s(account)

    @property
    def spent_s(self) -> float:
        """The seconds of this run and of those before it."""
        return self._before_s + self._clock() - self._begin

    @property
    def left_s(self) -> float:
        """The seconds that are left, infinite without a limit and negative once it is overrun."""
        return math.inf if self.seconds is None else self.seconds - self.spent_s

    def mark(self) -> None:
        """Write the account, where it was not written just now; called as measurements are kept."""
        now = self._clock()
        if self._account is not None and now - self._written >= ACCOUNT_EVERY_S:
            self._written = now
            # No atomic write, which waits for the disk: a torn account is read as nothing spent.
            with suppress(OSError):
                self._account.write_text(f"{self.spent_s:.3f}\n", encoding="utf-8")


def spent_s(account: Path) -> float:
    """What an account says; nothing where there is none, or it says no number of seconds."""
    with suppress(OSError, ValueError):
        found = float(account.read_text(encoding="utf-8"))
        return found if 0 <= found < math.inf else 0.0
    return 0.0
