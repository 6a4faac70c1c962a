"""Processes that use a database of records, in a module of their own so that they start fast."""

from __future__ import annotations

import multiprocessing
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from runtime.cli import main
from runtime.records import Records, RecordsProblem
from tests.runtime.records.rows import record, relu

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.runtime.records.writers", "runtime.profiler"])


def started(task: Callable[..., None], *arguments: object) -> tuple[Any, Connection]:
    """A process that does a task, and where its answers arrive."""
    ours, theirs = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=task, args=(*arguments, theirs))
    process.start()
    theirs.close()
    return process, ours


def rest_of(answers: Connection) -> list[Any]:
    """All answers until the other end is closed."""
    found = []
    with suppress(EOFError):
        while True:
            found.append(answers.recv())
    return found


def write_for_ever(path: Path, first: int, answers: Connection) -> None:
    """Add records; an answer says which is acknowledged."""
    with Records(path) as records:
        for index in count(first):
            records.add(record(relu(index)))
            answers.send(index)


def migrate(path: Path, answers: Connection) -> None:
    """Bring an old database up."""
    answers.send("begun")
    Records(path).close()


def take_all(path: Path, answers: Connection) -> None:
    """Add many records at once."""
    with Records(path) as records:
        answers.send("begun")
        records.take(record(relu(size), vectors) for size in range(1, 1000) for vectors in (1, 2, 4))


def write_some(path: Path, writer: int, answers: Connection) -> None:
    """Open, add and close, again and again."""
    for index in range(25):
        with Records(path) as records:
            records.add(record(relu(100 + index), writer))
    answers.send(writer)


def fill(path: Path, limit: int, answers: Connection) -> None:
    """Add records until there is no more room."""
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        write_for_ever(path, 1, answers)
    except RecordsProblem as problem:
        answers.send(str(problem))


def profile(folder: Path) -> None:
    """`onepath profile` of the space in a folder."""
    # A process that was started in the background may have inherited that it ignores interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = ["profile", folder / "small.space", "--target", "box", "--out", folder / "out"]
    sys.argv = ["onepath", *map(str, command), "--records", str(folder / "r.sqlite")]
    main()
