"""Progress on long work: a live line on a terminal, plain lines elsewhere, nothing where nobody looks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TextIO

from runtime.pace import Pace, duration

PLAIN_EVERY_S = 10.0
"""How often a line is written where the output is not a terminal."""


class Progress(Protocol):
    """Where a stage says how far it is."""

    def update(
        self, done: float, total: float, text: str = "", *, kind: str = "", at_most_s: float | None = None
    ) -> None:
        """`done` of `total` steps, and what is being done.

        Steps of another `kind` have a pace of their own. The work ends after `at_most_s` seconds whatever is
        left of it, where a budget says so.
        """

    def note(self, text: str) -> None:
        """Something to be read that stays."""


class Silent:
    """Progress that nobody looks at."""

    def update(
        self, done: float, total: float, text: str = "", *, kind: str = "", at_most_s: float | None = None
    ) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


class Console:
    """Progress and results on standard error, so that standard output stays for answers."""

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic, *, of: str = ""
    ) -> None:
        """`of` names the run, where there are several: it stands before the name of each stage."""
        self._stream, self._clock, self._of = stream or sys.stderr, clock, of
        self._live = self._stream.isatty()
        self._stage, self._last, self._open, self._pace = "", float("-inf"), False, Pace()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Everything said inside belongs to this stage; its time is said at the end."""
        began = self._clock()
        self._stage, self._last, self._pace = f"{self._of} {name}".lstrip(), float("-inf"), Pace()
        if not self._live:
            self._line(f"{self._stage} …")
        try:
            yield
        except BaseException:
            self._close()
            raise
        self.note(f"done in {self._clock() - began:.1f} s")

    def update(
        self, done: float, total: float, text: str = "", *, kind: str = "", at_most_s: float | None = None
    ) -> None:
        """Say how far the stage is, with the time left at the pace of its recent steps, at most the budget's."""
        now = self._clock()
        self._pace.mark(now, done, kind)
        if now - self._last < (0.1 if self._live else PLAIN_EVERY_S):
            return
        self._last = now
        share = min(1.0, done / total) if total else 0.0
        known = [left for left in (self._pace.left_s(total), at_most_s) if left is not None]
        when = f", {duration(max(0.0, min(known)))} left" if known else ""
        what = "  ".join(part for part in (kind, text) if part)
        name = f"{self._stage} " if self._stage else ""
        line = f"{name}{share:4.0%}{when}{'  ' + what if what else ''}"
        if self._live:
            print(f"\r\033[K{line[:150]}", end="", file=self._stream, flush=True)
            self._open = True
        else:
            self._line(line)

    def note(self, text: str) -> None:
        """A line that stays, under the stage's name."""
        self._line(f"{self._stage}: {text}" if self._stage else text)

    def _line(self, text: str) -> None:
        self._close(clear=True)
        print(text, file=self._stream, flush=True)

    def _close(self, clear: bool = False) -> None:
        if self._open:
            print("\r\033[K" if clear else "", end="" if clear else "\n", file=self._stream, flush=True)
            self._open = False


def announced(progress: Progress, stage: str) -> AbstractContextManager[None]:
    """What is said inside belongs to this stage, where the progress is a console's."""
    return progress.stage(stage) if isinstance(progress, Console) else nullcontext()
