"""What a log says becomes the parts of a history; a part without events is empty."""

from __future__ import annotations

from runtime.report.history import history_of
from runtime.report.values import History, Judged, Point, Pruned, Snapshot

LATENCY = "latency on host"


def test_events_become_points() -> None:
    epochs = [{"event": "epoch", "step": 10 * n, "loss": 1.0, "accuracy": 0.5, "lr": 0.1} for n in range(3)]
    assert [point.step for point in history_of(epochs).points] == [0, 10, 20]
    steps = [
        {"event": "architecture", "step": n, "loss": n % 2, "expected": {LATENCY: n}, "prices": {"macs": 0.5}}
        for n in range(1, 161)
    ]
    points = history_of([*epochs, *steps]).points
    assert len(points) == 80
    assert points[-1] == Point(160, 0.5, expected={LATENCY: 159.5}, prices={"macs": 0.5})
    assert history_of([]) == History()


def test_probabilities_and_what_was_pruned_are_kept_in_order() -> None:
    pruned = {"step": 9, "decision": "a", "label": "k=3", "probability": 0.004, "threshold": 0.01}
    left = {"left": 2, "total_left": 40}
    events = [
        {"event": "probabilities", "step": 5, "probabilities": {"a": {"k=3": 0.25, "skip": 0.75}}},
        {"event": "pruned", "wall_s": 1.0, **pruned, **left},
    ]
    history = history_of(events)
    assert history.snapshots == (Snapshot(5, {"a": {"k=3": 0.25, "skip": 0.75}}),)
    assert history.pruned == (Pruned(9, "a", "k=3", 0.004, 0.01, 2, 40),)


def test_the_last_front_and_result_count() -> None:
    judged = {"event": "evaluation", "step": 1, "picks": [0], "accuracy": 0.7, "best": 0.7}
    result = {"event": "result", "accuracy": 0.8, "caps": {LATENCY: 0.3}, "costs": {LATENCY: 0.2}}
    fronts = [
        {"event": "front", "networks": [{"picks": [n], "score": n / 4, "costs": {"macs": 5.0}}]}
        for n in (1, 2)
    ]
    history = history_of([{**judged, "costs": {LATENCY: 0.4}}, *fronts, {**result, "accuracy": 0.1}, result])
    assert history.evaluations == (Judged(0.7, {LATENCY: 0.4}, 0.7),)
    assert history.front == (Judged(0.5, {"macs": 5.0}),)
    assert (history.found, history.caps) == (Judged(0.8, {LATENCY: 0.2}), {LATENCY: 0.3})


def test_finalists_are_evaluations_but_for_those_given_up() -> None:
    trained = {"event": "finalist", "step": 9, "costs": {"macs": 5.0}, "accuracy": 0.7, "best": 0.7}
    given_up = {**trained, "accuracy": None, "loss": None}
    assert history_of([{**given_up, "best": None}, trained, given_up]).evaluations == (
        Judged(0.7, {"macs": 5.0}, 0.7),
    )
