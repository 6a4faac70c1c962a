"""A stage of many steps that can be killed at any moment and goes on as if nothing had happened.

Everything a step does is a function of the stage's state and the step's number. The state is saved now and
then; what was done after the last checkpoint, log included, is done again, bit for bit.
"""

from __future__ import annotations

import ctypes
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
    """Where a stage keeps its log and checkpoints, what identifies it, and how often it saves."""

    folder: Path
    name: str
    fingerprint: str
    resume: bool = True
    save_every_s: float = 15.0
    say: Callable[[str], None] = lambda message: print(message, file=sys.stderr)

    @property
    def log(self) -> Path:
        """The event log."""
        return self.folder / f"{self.name}.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of its checkpoints."""
        return self.folder / f"{self.name}_checkpoints"


def run_stage(stage: Stage, place: Place) -> dict[str, Any]:
    """Run or resume a stage to its end; a stage that has ended is restored and left alone. Returns its plan.

    Checkpoints of other inputs, or of which none is sound, are no start: the place says so, and the stage
    begins anew.

    Raises:
        FileProblem: the log lacks what the checkpoint counts on, or nothing can be written.
    """
    keep_freed_memory()
    place.checkpoints.mkdir(parents=True, exist_ok=True)
    with EventLog(place.log) as log:
        plan, done = _resumed(stage, place, log) or _begun(stage, place, log)
        saved_at = time.monotonic()
        for index in range(done, plan["steps"]):
            stage.step(index, log)
            last = index + 1 == plan["steps"]
            if last or time.monotonic() - saved_at >= place.save_every_s:
                _save(stage, place, log, plan, index + 1)
                saved_at = time.monotonic()
    return plan


def _begun(stage: Stage, place: Place, log: EventLog) -> tuple[dict[str, Any], int]:
    drop_checkpoints(place.checkpoints)
    log.truncate(0)
    plan = {**stage.plan(), "threads": torch.get_num_threads()}
    stage.follow(plan)
    log.append("plan", **plan)
    _save(stage, place, log, plan, 0)
    return plan, 0


def _resumed(stage: Stage, place: Place, log: EventLog) -> tuple[dict[str, Any], int] | None:
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
    plan = dict(state.numbers["plan"])
    torch.set_num_threads(plan["threads"])
    log.truncate(state.numbers["log_bytes"])
    stage.follow(plan)
    stage.restore(State(state.tensors, state.numbers["stage"]))
    return plan, done


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


def seconds_a_step(step: Callable[[int], object], limit_s: float, least: int = 8) -> float:
    """The mean time of `step(0)`, `step(1)`, …, without the first two; stops after `limit_s` seconds."""
    step(0)
    step(1)
    start, count = time.perf_counter(), 0
    while count < least or (time.perf_counter() - start < limit_s and count < 100 * least):
        step(count + 2)
        count += 1
    return (time.perf_counter() - start) / count
