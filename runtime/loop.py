"""A stage of many steps that can be killed at any moment and goes on as if nothing had happened.

Everything a step does is a function of the stage's state and the step's number. The state is saved now and
then; what was done after the last checkpoint, log included, is done again, bit for bit.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from runtime.checkpoint import State, drop_checkpoints, load_checkpoint, save_checkpoint
from runtime.events import EventLog
from runtime.files import FileProblem
from runtime.ranks import ALONE, Ranks
from runtime.run_folder import CHECKPOINTS


class Stage(Protocol):
    """What is stepped: `plan` is settled once, before the first step, and then kept."""

    def plan(self) -> dict[str, Any]:
        """Decide, by measuring if need be, how many steps there are (`steps`) and whatever depends on it."""

    def follow(self, plan: dict[str, Any]) -> None:
        """Take over the plan: this run's own, or that of the run being resumed."""

    def step(self, index: int, log: EventLog) -> None:
        """Do step `index`, and log what it found."""

    def state(self) -> State:
        """Everything that steps change."""

    def restore(self, state: State) -> None:
        """Go back to a state."""


@dataclass(frozen=True)
class Place:
    """Where a stage keeps its log and checkpoints, what identifies it, how often it saves, and who does its steps."""

    folder: Path
    name: str
    fingerprint: str
    resume: bool = True
    save_every_s: float = 15.0
    say: Callable[[str], None] = lambda message: print(message, file=sys.stderr)
    ranks: Ranks = ALONE

    @property
    def log(self) -> Path:
        """The event log."""
        return self.folder / f"{self.name}.jsonl"

    def open_log(self) -> EventLog:
        """The event log, to be written by rank 0; what others log goes nowhere."""
        return EventLog(self.log if self.ranks.first else Path(os.devnull))

    @property
    def checkpoints(self) -> Path:
        """The folder of its checkpoints."""
        return self.folder / CHECKPOINTS.format(stage=self.name)


def run_stage(stage: Stage, place: Place) -> dict[str, Any]:
    """Run or resume a stage to its end; a stage that has ended is restored and left alone. Returns its plan.

    Checkpoints of other inputs, or of which none is sound, are no start: the place says so, and the stage
    begins anew. Of several processes rank 0 alone writes; all begin from the same checkpoint of the same folder.

    Raises:
        FileProblem: the log lacks what the checkpoint counts on, or nothing can be written.
    """
    keep_freed_memory()
    first = place.ranks.first
    if first:
        place.checkpoints.mkdir(parents=True, exist_ok=True)
    with place.open_log() as log:
        plan, done = _resumed(stage, place, log) or _begun(stage, place, log)
        saved_at = time.monotonic()
        for index in range(done, plan["steps"]):
            stage.step(index, log)
            last = index + 1 == plan["steps"]
            if first and (last or time.monotonic() - saved_at >= place.save_every_s):
                _save(stage, place, log, plan, index + 1)
                saved_at = time.monotonic()
    return plan


def _begun(stage: Stage, place: Place, log: EventLog) -> tuple[dict[str, Any], int]:
    ranks = place.ranks
    if ranks.first:
        drop_checkpoints(place.checkpoints)
        log.truncate(0)
    plan = ranks.same({**stage.plan(), "threads": torch.get_num_threads(), "processes": ranks.size})
    stage.follow(plan)
    if ranks.first:
        log.append("plan", **plan)
        _save(stage, place, log, plan, 0)
    return plan, 0


def _resumed(stage: Stage, place: Place, log: EventLog) -> tuple[dict[str, Any], int] | None:
    found = _checkpoint(place) if place.ranks.first else None
    done = place.ranks.same(None if found is None else found[0])
    if done is None:
        return None
    step, state = found or _same_checkpoint(place, done)
    plan = dict(state.numbers["plan"])
    if plan.get("processes", 1) == place.ranks.size:
        torch.set_num_threads(plan["threads"])
    if place.ranks.first:
        log.truncate(state.numbers["log_bytes"])
    stage.follow(plan)
    stage.restore(State(state.tensors, state.numbers["stage"]))
    return plan, step


def _same_checkpoint(place: Place, done: int) -> tuple[int, State]:
    """Rank 0's, which it does not drop before the others are with it at later steps.

    Raises:
        FileProblem: it is not there.
    """
    found = load_checkpoint(place.checkpoints)
    if found is None or found[0] != done:
        what = f"does not hold checkpoint {done}, which rank 0 found"
        raise FileProblem(place.checkpoints, what, "give all processes the same run folder")
    return found[:2]


def _checkpoint(place: Place) -> tuple[int, State] | None:
    """The checkpoint to go on from: None, and why, where there is none or it is of other inputs."""
    try:
        found = load_checkpoint(place.checkpoints) if place.resume else None
    except FileProblem as problem:
        place.say(f"{problem.path} {problem.what}: starting anew")
        return None
    if found is None:
        return None
    done, state, messages = found
    for message in messages:
        place.say(message)
    if state.numbers["fingerprint"] != place.fingerprint:
        place.say(f"{place.folder} holds a {place.name} of another space, data or settings: starting anew")
        return None
    return done, state


def _save(stage: Stage, place: Place, log: EventLog, plan: dict[str, Any], done: int) -> None:
    log.sync()
    state = stage.state()
    numbers = {
        "fingerprint": place.fingerprint,
        "plan": plan,
        "log_bytes": log.size,
        "stage": dict(state.numbers),
    }
    save_checkpoint(place.checkpoints, done, State(state.tensors, numbers))


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, NEVER_BYTES = -1, -3, 1 << 30


def keep_freed_memory() -> None:
    """Let glibc keep freed memory instead of giving it back: mallopt(3).

    Activations of megabytes are otherwise mapped, faulted in and unmapped at every step: training on two
    cores is 1.4 to 1.6 times faster without that. Does nothing where the C library is another.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(M_MMAP_THRESHOLD, NEVER_BYTES)
        library.mallopt(M_TRIM_THRESHOLD, NEVER_BYTES)


def seconds_a_step(
    step: Callable[[int], object], limit_s: float, least: int = 8, ranks: Ranks = ALONE
) -> float:
    """The mean time of `step(0)`, `step(1)`, …, without the first two; stops after `limit_s` seconds.

    Rank 0's clock counts for all processes.
    """
    step(0)
    step(1)
    start, count = time.perf_counter(), 0
    while ranks.same(count < least or (time.perf_counter() - start < limit_s and count < 100 * least)):
        step(count + 2)
        count += 1
    return ranks.same((time.perf_counter() - start) / count)
