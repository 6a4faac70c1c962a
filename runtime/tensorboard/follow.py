"""The logs of a run folder as event files: once, or for as long as they are written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.events import Tail
from runtime.files import FileProblem
from runtime.tensorboard.files import EventFile, check_installed

LOGS = {"search": "search/search.jsonl", "train": "train/train.jsonl"}
"""The logs of a run folder, by what they are called in TensorBoard."""
EVERY_S = 2.0


class Feed:
    """The event files of one run, in a folder for each of its logs."""

    def __init__(self, run: Path, out: Path) -> None:
        self._tails = {name: Tail(run / log) for name, log in LOGS.items()}
        self._files: dict[str, EventFile] = {}
        self._out = out

    def pull(self) -> int:
        """Pass on what was logged since the last time; how many events that were.

        Raises:
            FileProblem: a log is damaged.
            OSError: an event file cannot be written.
        """
        return sum(self._pull(name, tail) for name, tail in self._tails.items())

    def _pull(self, name: str, tail: Tail) -> int:
        anew, events = tail.read()
        if anew and name in self._files:
            self._files.pop(name).close()
        if events and name not in self._files:
            self._files[name] = EventFile(self._out / name)
        for event in events:
            self._files[name].add(event)
        if events:
            self._files[name].flush()
        return len(events)

    def close(self) -> None:
        """Close the event files."""
        for file in self._files.values():
            file.close()


def convert(run: Path, out: Path) -> int:
    """Write what a run folder has logged so far; how many events that were.

    Raises:
        NoTensorBoard: the package is not installed.
        FileProblem: a log is damaged.
        OSError: an event file cannot be written.
    """
    check_installed()
    feed = Feed(run, out)
    try:
        return feed.pull()
    finally:
        feed.close()


@contextmanager
def followed(run: Path, out: Path, say: Callable[[str], None], every_s: float = EVERY_S) -> Iterator[None]:
    """Pass on what is logged in a run folder while the body runs, and the rest when it ends, however it ends.

    A problem with the event files is said, and ends the following, not the run.

    Raises:
        NoTensorBoard: the package is not installed.
        OSError: the folder cannot be made.
    """
    check_installed()
    out.mkdir(parents=True, exist_ok=True)
    feed, over = Feed(run, out), threading.Event()

    def follow() -> None:
        try:
            last = False
            while not last:
                last = over.wait(every_s)
                feed.pull()
        except (FileProblem, OSError) as problem:
            say(f"nothing more is written for TensorBoard: {problem}")
        finally:
            feed.close()

    thread = threading.Thread(target=follow, name="tensorboard", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
