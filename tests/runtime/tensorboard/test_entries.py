"""A logged event as numbers and texts, whatever it holds."""

from __future__ import annotations

from runtime.tensorboard.entries import numbers_of, text_of


def test_numbers_have_tags_of_their_places() -> None:
    event = {
        "event": "architecture",
        "step": 5,
        "wall_s": 1.0,
        "number": 2,
        "loss": 2,
        "expected": {"macs": 5e6},
    }
    assert numbers_of(event) == {"architecture/loss": 2.0, "architecture/expected/macs": 5e6}
    assert numbers_of({"event": "epoch", "phase": "search", "frozen": True, "lr": 0.1}) == {"epoch/lr": 0.1}
    assert text_of(event) is None


def test_probabilities_are_by_decision_and_label() -> None:
    event = {"event": "probabilities", "step": 5, "probabilities": {"a.b": {"k=3": 0.25, "skip": 0.75}}}
    assert numbers_of(event) == {"probabilities/a.b/k=3": 0.25, "probabilities/a.b/skip": 0.75}


def test_what_was_pruned_is_counted_and_told() -> None:
    event = {"event": "pruned", "step": 9, "decision": "a", "label": "k=3", "probability": 0.004,
             "threshold": 0.01, "left": 2, "total_left": 40}  # fmt: skip
    assert numbers_of(event) == {"pruned/a": 2.0, "pruned/total": 40.0}
    assert text_of(event) == (
        "`k=3` of `a`: its probability 0.004 is under 0.01. 2 of the decision are left, 40 in all."
    )


def test_a_front_is_a_table_from_the_cheapest() -> None:
    networks = [
        {"picks": [1, 0], "score": 0.9, "costs": {"macs": 7.0}},
        {"picks": [0, 0], "score": 0.8, "costs": {"macs": 5.0}},
    ]
    text = text_of({"event": "front", "networks": networks})
    assert text is not None
    assert text.splitlines() == [
        "| score | macs | picks |",
        "| --- | --- | --- |",
        "| 0.8 | 5 | 0, 0 |",
        "| 0.9 | 7 | 1, 0 |",
    ]
    assert text_of({"event": "front", "networks": []}) == "| score | picks |\n| --- | --- |"


def test_a_result_is_a_table_and_no_point() -> None:
    event = {"event": "result", "picks": [1], "caps": {"macs": 5e6}, "feasible": True, "wall_s": 3.0}
    assert numbers_of(event) == {}
    assert (text_of(event) or "").splitlines()[2:] == [
        "| picks | 1 |",
        "| caps, macs | 5e+06 |",
        "| feasible | True |",
    ]
