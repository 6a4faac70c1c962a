"""Logs to be shown, and event files as TensorBoard reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtime.events import EventLog


def log_epochs(run: Path, steps: range) -> None:
    with EventLog(run / "train/train.jsonl") as log:
        for step in steps:
            log.append("epoch", step=step, loss=1 / step, accuracy=0.5)


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"tensors": 0, "scalars": 0}).Reload()


def points(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, round(event.value, 6)) for event in read(folder).Scalars(tag)]
