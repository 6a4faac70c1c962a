"""An append-only log of events: one JSON object a line, each with a checksum over its other fields.

A line is written whole before the next one is begun, so that a kill leaves at most one torn line, the last.
Fields named `wall_s` are clock readings; all others are the same in every run of the same seed.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.files import FileProblem, canonical_json

Event = dict[str, Any]


def _sealed(event: Event) -> bytes:
    return json.dumps({**event, "crc32": zlib.crc32(canonical_json(event))}, allow_nan=False).encode() + b"\n"


def _opened(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
        seal = event.pop("crc32")
        return event if seal == zlib.crc32(canonical_json(event)) else None
    except (ValueError, AttributeError, TypeError, KeyError):
        return None


class EventLog:
    """The log of one run, open for appending. Opening it cuts off a torn last line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        self.truncate(_whole_bytes(path))

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return os.fstat(self._descriptor).st_size

    def truncate(self, size: int) -> None:
        """Forget what was written after `size` bytes.

        Raises:
            FileProblem: the log is shorter than that, so that events are missing.
        """
        if self.size < size:
            raise FileProblem(self.path, "lacks events that its checkpoint knows of", "start the run anew")
        if self.size > size:
            os.ftruncate(self._descriptor, size)

    def append(self, kind: str, **fields: Any) -> None:
        """Write one event.

        Raises:
            FileProblem: the disk is full, or the log cannot be written.
        """
        line = _sealed({"event": kind, **fields, "wall_s": round(time.time(), 3)})
        start = self.size
        try:
            if os.write(self._descriptor, line) != len(line):
                os.ftruncate(self._descriptor, start)
                raise FileProblem(self.path, "cannot be written (disk full)", "free some space and resume")
        except OSError as problem:
            reason = f"cannot be written ({problem.strerror})"
            raise FileProblem(self.path, reason, "free some space and resume") from None

    def sync(self) -> None:
        """Make what was written survive a power cut."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _whole_bytes(path: Path) -> int:
    """The length of the log without a torn last line."""
    content = path.read_bytes()
    if not content:
        return 0
    last = content.rfind(b"\n", 0, len(content) - 1) + 1
    torn = not content.endswith(b"\n") or _opened(content[last:]) is None
    return last if torn else len(content)


def read_events(path: Path) -> Iterator[Event]:
    """The events of a log in order, without their checksums; a torn last line is left out.

    Raises:
        FileProblem: the log is missing, or a line before the last is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise FileProblem(
            path, f"cannot be read ({problem.strerror})", "run the stage that writes it"
        ) from None
    for _, event in _whole_events(path, content, 1):
        yield event


def _whole_events(path: Path, content: bytes, first: int) -> Iterator[tuple[bytes, Event]]:
    """The whole lines of a piece of a log, whose first is number `first`, each with its event."""
    lines = content.splitlines(keepends=True)
    for number, line in enumerate(lines, first):
        event = _opened(line) if line.endswith(b"\n") else None
        if event is not None:
            yield line, event
        elif number < first + len(lines) - 1:
            raise FileProblem(path, f"line {number} is damaged (its checksum fails)", "run the stage anew")


class Tail:
    """A log that another writes meanwhile: each `read` gives what came since the one before.

    A stage that resumes cuts its log back and writes the end again. The last line read is then no longer in
    its place, since it holds the time of its writing, and the log is read from its start.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._offset, self._lines, self._last = path, 0, 0, b""

    def read(self) -> tuple[bool, list[Event]]:
        """Whether the log is another than before, and its new events: then all of them.

        Raises:
            FileProblem: a line before the last is damaged.
        """
        anew, content = self._news()
        if anew:
            self._offset, self._lines, self._last = 0, 0, b""
        events = []
        for line, event in _whole_events(self._path, content, self._lines + 1):
            self._offset, self._lines, self._last = self._offset + len(line), self._lines + 1, line
            events.append(event)
        return anew, events

    def _news(self) -> tuple[bool, bytes]:
        """Whether the log was cut back, and its bytes: those behind the last line read, else all."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset - len(self._last))
                if file.read(len(self._last)) == self._last:
                    return False, file.read()
                file.seek(0)
                return True, file.read()
        except FileNotFoundError:
            return bool(self._last), b""
