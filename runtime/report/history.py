"""The course of a search or training, from the events that it logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

from runtime.report.values import History, Point

POINTS_CAP = 80
"""The most points of a picture; more are averaged, since single batches are noisy."""
SAMPLED = ("architecture", "evaluation")


def history_of(events: Iterable[Mapping[str, Any]]) -> History:
    """The points of a log: what sampled paths scored on validation images, else the epochs of the weights."""
    kept = [event for event in events if event["event"] in (*SAMPLED, "epoch")]
    steps = [event for event in kept if event["event"] in SAMPLED] or kept
    size = max(1, ceil(len(steps) / POINTS_CAP))
    return History(tuple(_mean(steps[start : start + size]) for start in range(0, len(steps), size)))


def _mean(events: Sequence[Mapping[str, Any]]) -> Point:
    def of(name: str) -> float | None:
        values = [event[name] for event in events if event.get(name) is not None]
        return sum(values) / len(values) if values else None

    return Point(events[-1]["step"], of("loss"), of("accuracy"), of("expected_ms"), of("entropy"))
