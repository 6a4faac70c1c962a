"""The time left: from recent steps of this run and of their kind, never more than the budget's."""

from __future__ import annotations

import io

import pytest

from runtime.console import PLAIN_EVERY_S, Console
from runtime.pace import LEAST_S, WINDOW_S, Pace, duration


def marked(*steps: tuple[float, float, str]) -> Pace:
    pace = Pace()
    for now_s, done, kind in steps:
        pace.mark(now_s, done, kind)
    return pace


def test_what_a_run_before_did_says_nothing_of_the_pace() -> None:
    pace = marked((100.0, 900, ""), (102.0, 902, ""), (110.0, 910, ""))
    assert pace.left_s(1000) == pytest.approx(90)


def test_steps_of_another_kind_begin_anew() -> None:
    pace = marked((0.0, 0, "warm-up"), (10.0, 100, "warm-up"), (10.5, 101, "search"))
    assert pace.left_s(200) is None
    pace.mark(12.5, 103, "search")
    assert pace.left_s(200) == pytest.approx(97)
    assert marked((0.0, 0, ""), (9.0, 90, ""), (9.5, 1, "")).left_s(100) is None


def test_old_steps_do_not_count() -> None:
    pace = Pace()
    for second in range(100):
        pace.mark(float(second), 100.0 * second)
    for second in range(100, 100 + int(WINDOW_S) + 1):
        pace.mark(float(second), 10000.0 + second)
    assert pace.left_s(10140.0 + WINDOW_S) == pytest.approx(40.0, abs=1.1)


def test_many_marks_a_second_keep_the_pace_and_little_memory() -> None:
    pace = Pace()
    for step in range(100_000):
        pace.mark(step / 1000, float(step))
    assert pace.left_s(101_000.0) == pytest.approx(1.0, rel=0.01)
    assert len(pace._marks) < 100


def test_too_little_time_or_no_step_tells_no_pace() -> None:
    assert Pace().left_s(10) is None
    assert marked((0.0, 0, ""), (LEAST_S / 2, 5, "")).left_s(10) is None
    assert marked((0.0, 5, ""), (20.0, 5, "")).left_s(10) is None
    assert marked((0.0, 0, ""), (2.0, 12, "")).left_s(10) == 0.0


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def said(stream: io.StringIO, *updates: tuple[float, float, str, float | None]) -> str:
    """What a console says of a stage after updates at times; the total is 100."""
    now = [0.0]
    console = Console(stream, lambda: now[0])
    with console.stage("train"):
        for now_s, done, kind, at_most_s in updates:
            now[0] = now_s
            console.update(done, 100, "loss 0.5", kind=kind, at_most_s=at_most_s)
    return stream.getvalue()


def test_a_terminal_shows_one_line_that_changes() -> None:
    text = said(Terminal(), (0.0, 50, "", None), (2.0, 52, "", None))
    assert "train  50%  loss 0.5" in text
    assert "train  52%, 48 s left  loss 0.5" in text
    assert text.endswith("train: done in 2.0 s\n")
    assert text.count("\n") == 1


def test_elsewhere_a_line_is_written_now_and_then() -> None:
    text = said(io.StringIO(), *((float(second), second, "tuning", None) for second in range(25)))
    lines = text.splitlines()
    assert lines[0] == "train …"
    assert lines[1:4] == [
        "train   0%  tuning  loss 0.5",
        "train  10%, 90 s left  tuning  loss 0.5",
        "train  20%, 80 s left  tuning  loss 0.5",
    ]
    assert len(lines) == 5
    assert PLAIN_EVERY_S == 10


def test_a_budget_ends_the_work_sooner() -> None:
    assert "1%, 20 s left" in said(Terminal(), (0.0, 0, "", 22.0), (2.0, 1, "", 20.0))
    assert "0%, 22 s left" in said(Terminal(), (0.0, 0, "", 22.0))
    assert "1%, 0 s left" in said(Terminal(), (2.0, 1, "", -3.0))


def test_durations_are_as_exact_as_they_are_known() -> None:
    assert [duration(s) for s in (4.4, 99, 101, 3599, 7000, 12_000)] == [
        "4 s", "99 s", "2 min", "60 min", "1 h 57 min", "3 h 20 min",
    ]  # fmt: skip
