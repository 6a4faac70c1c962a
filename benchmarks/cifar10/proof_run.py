"""Commands of the public pipeline, each with the time and the memory it took, added up over interruptions.

Costs are compared in processor time, of one thread: a second one hardly helps steps of so few images, and waits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from proof_setup import ROOT

from runtime.child import end_with_parent
from runtime.files import FileProblem, read_json, write_json

SCHEMA = "onepath.cifar10_spent/1"
NOTED_EVERY_S = 10.0
"""How often the account is written: what a killed attempt took beyond that is not counted."""


class PieceFailed(Exception):
    """A command that ended without its result; says where its log is."""


@dataclass(frozen=True)
class Spent:
    """Seconds over all attempts, by the clock and of the processors, and the most memory that one process of them
    held, in MiB."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    attempts: int = 0


def spent_before(account: Path) -> Spent:
    """What earlier attempts took."""
    try:
        return Spent(**read_json(account, SCHEMA))
    except FileProblem:
        return Spent()


def timed(command: tuple[str, ...], account: Path, log: Path, result: Path) -> Spent:
    """Run `onepath` with these arguments, its messages into `log`; what all attempts took is kept in `account`.

    The exit code 1 says that the answer is no, as of a cap that a better table no longer holds: `result` is there.

    Raises:
        PieceFailed: it ended otherwise, or without `result`.
    """
    before, began = spent_before(account), time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    noted = 0.0
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("ab") as messages:
        process = subprocess.Popen(
            [sys.executable, "-m", "runtime", *command],
            cwd=ROOT,
            env=surroundings,
            stdout=messages,
            stderr=messages,
            preexec_fn=end_with_parent,
        )
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            time.sleep(0.2)
            if time.monotonic() - began - noted >= NOTED_EVERY_S:
                noted = time.monotonic() - began
                _keep(account, before, noted, _cpu_seconds(process.pid), 0.0)
    _, status, usage = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_seconds = usage.ru_utime + usage.ru_stime
    spent = _keep(account, before, time.monotonic() - began, cpu_seconds, usage.ru_maxrss / 1024)
    if process.returncode not in (0, 1) or not result.is_file():
        raise PieceFailed(
            f"`onepath {command[0]}` ended with {process.returncode}; its messages are in {log}"
        )
    return spent


def _cpu_seconds(process: int) -> float:
    """The processor time of a process and of the children that it has waited for; none of one that has ended."""
    try:
        times = psutil.Process(process).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _keep(account: Path, before: Spent, seconds: float, cpu_seconds: float, peak_mb: float) -> Spent:
    spent = Spent(
        round(before.seconds + seconds, 1),
        round(before.cpu_seconds + cpu_seconds, 1),
        round(max(before.peak_memory_mb, peak_mb), 1),
        before.attempts + 1,
    )
    write_json(account, asdict(spent), SCHEMA)
    return spent
