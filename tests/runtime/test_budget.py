"""A budget is charged what was spent: by this run, and by those before it, but not the time between them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from runtime.budget import ACCOUNT_EVERY_S, Budget, spent_s


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_an_interrupted_run_spent_is_charged_and_the_pause_is_not(tmp_path: Path) -> None:
    clock, account = Clock(), tmp_path / "profile.spent"
    first = Budget(60.0, account, clock)
    clock.now += 7.0
    first.mark()
    clock.now += 900.0
    second = Budget(60.0, account, clock)
    assert (second.spent_s, second.left_s) == (7.0, 53.0)
    clock.now += 3.0
    second.mark()
    assert Budget(60.0, account, clock).left_s == 50.0


def test_the_account_is_written_now_and_then(tmp_path: Path) -> None:
    clock, account = Clock(), tmp_path / "profile.spent"
    budget = Budget(60.0, account, clock)
    budget.mark()
    clock.now += ACCOUNT_EVERY_S / 2
    budget.mark()
    assert spent_s(account) == 0.0
    clock.now += ACCOUNT_EVERY_S / 2
    budget.mark()
    assert spent_s(account) == ACCOUNT_EVERY_S


@pytest.mark.parametrize("text", ["", "nan", "-4", "inf", "three"])
def test_an_account_that_says_nothing_charges_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(text)
    assert spent_s(tmp_path / "a") == 0.0


def test_without_a_limit_there_is_no_end() -> None:
    assert Budget().left_s == math.inf
