"""The course of a search or training, from the events that it logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from statistics import fmean
from typing import Any

from runtime.report.values import History, Judged, Point, Pruned, Snapshot

POINTS_CAP = 80
"""The most points of a picture; more are averaged, since single batches are noisy."""
_PRUNED = ("step", "decision", "label", "probability", "threshold", "left", "total_left")

_Event = Mapping[str, Any]


def history_of(events: Iterable[_Event]) -> History:
    """The parts of a log; one that it has no event of is empty.

    The points are what sampled paths scored on validation images, else the epochs of the weights. Evaluations are of
    finalists, too, but for those that were given up.
    """
    by_kind: dict[str, list[_Event]] = {}
    for event in events:
        by_kind.setdefault(event["event"], []).append(event)
    fronts, results = by_kind.get("front", []), by_kind.get("result", [])
    return History(
        points=_points(by_kind.get("architecture") or by_kind.get("epoch", [])),
        snapshots=tuple(
            Snapshot(each["step"], each["probabilities"]) for each in by_kind.get("probabilities", [])
        ),
        pruned=tuple(Pruned(**{name: each[name] for name in _PRUNED}) for each in by_kind.get("pruned", [])),
        evaluations=tuple(
            _judged(each, "accuracy")
            for each in by_kind.get("evaluation") or by_kind.get("finalist", [])
            if each["accuracy"] is not None
        ),
        front=tuple(_judged(each, "score") for each in fronts[-1]["networks"]) if fronts else (),
        found=_judged(results[-1], "accuracy") if results else None,
        caps=results[-1].get("caps", {}) if results else {},
    )


def _judged(event: _Event, score: str) -> Judged:
    return Judged(event[score], event.get("costs", {}), event.get("best"))


def _points(events: Sequence[_Event]) -> tuple[Point, ...]:
    size = max(1, ceil(len(events) / POINTS_CAP))
    return tuple(_mean(events[start : start + size]) for start in range(0, len(events), size))


def _mean(events: Sequence[_Event]) -> Point:
    def of(name: str) -> float | None:
        return _means(events).get(name)

    def within(name: str) -> dict[str, float]:
        return _means([event.get(name, {}) for event in events])

    return Point(
        events[-1]["step"], of("loss"), of("accuracy"), of("entropy"), within("expected"), within("prices")
    )


def _means(rows: Sequence[_Event]) -> dict[str, float]:
    """The mean of each number over the rows that have it."""
    found: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            if isinstance(value, int | float):
                found.setdefault(name, []).append(value)
    return {name: fmean(values) for name, values in found.items()}
