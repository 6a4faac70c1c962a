"""Progress on long work: a live line on a terminal, plain lines elsewhere, nothing where nobody looks."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TextIO

PLAIN_EVERY_S = 10.0
"""How often a line is written where the output is not a terminal."""


class Progress(Protocol):
    """Where a stage says how far it is."""

    def update(self, done: float, total: float, text: str = "") -> None:
        """`done` of `total`, and what is being done."""

    def note(self, text: str) -> None:
        """Something to be read that stays."""


class Silent:
    """Progress that nobody looks at."""

    def update(self, done: float, total: float, text: str = "") -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


class Console:
    """Progress and results on standard error, so that standard output stays for answers."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._stage, self._began, self._last, self._open = "", 0.0, 0.0, False

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Everything said inside belongs to this stage; its time is said at the end."""
        self._stage, self._began, self._last = name, time.monotonic(), 0.0
        if not self._live:
            self._line(f"{name} …")
        try:
            yield
        except BaseException:
            self._close()
            raise
        self.note(f"done in {time.monotonic() - self._began:.1f} s")

    def update(self, done: float, total: float, text: str = "") -> None:
        """Say how far the stage is, with the time left at its present pace."""
        now = time.monotonic()
        if now - self._last < (0.1 if self._live else PLAIN_EVERY_S):
            return
        self._last = now
        share = min(1.0, done / total) if total else 0.0
        left = (now - self._began) * (1 - share) / share if share > 0.02 else None
        when = f", {left:.0f} s left" if left is not None else ""
        line = f"{self._stage} {share:4.0%}{when}{'  ' + text if text else ''}"
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
