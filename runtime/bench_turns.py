"""Contenders in turns (A B A B), so that what the machine does besides falls on all of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from runtime.bench_contender import BenchProblem, Contender
from runtime.console import Progress, Silent


@dataclass(frozen=True)
class Timing:
    """How long to time: at least `runs` runs and `seconds` s of each contender, in turns of `turn_s` s.

    Each turn starts with `settle` runs that do not count, since the other contender had the caches.
    """

    warmup: int = 20
    runs: int = 200
    seconds: float = 5.0
    turn_s: float = 0.1
    settle: int = 3


USUAL_TIMING = Timing()


@dataclass(frozen=True)
class Turns:
    """Times in milliseconds by contender, turn and run, and of those that failed on the way, why.

    Every contender in `times` had as many turns as the others.
    """

    times: Mapping[str, list[list[float]]]
    failed: Mapping[str, str]

    def all_of(self, name: str) -> list[float]:
        """A contender's times of all its turns."""
        return [time_ms for turn in self.times[name] for time_ms in turn]


def take_turns(contenders: Sequence[Contender], timing: Timing, progress: Progress | None = None) -> Turns:
    """Time contenders until each has enough; one that crashes or hangs takes no further part.

    Raises:
        BenchProblem: the first one failed, which the others are compared with.
    """
    said = progress or Silent()
    failed: dict[str, str] = {}
    lengths: dict[str, int] = {}
    times: dict[str, list[list[float]]] = {contender.name: [] for contender in contenders}
    spent = dict.fromkeys(times, 0.0)
    for contender in contenders:
        with _surviving(contender, contenders[0], failed):
            lengths[contender.name] = _turn_length(contender, timing)

    def waits(name: str) -> bool:
        return len(times[name]) * lengths[name] < timing.runs or spent[name] < timing.seconds

    while any(waits(name) for name in times if name not in failed):
        for contender in [each for each in contenders if each.name not in failed]:
            name, start = contender.name, time.monotonic()
            with _surviving(contender, contenders[0], failed):
                times[name].append(contender.run(timing.settle + lengths[name])[timing.settle :])
            spent[name] += time.monotonic() - start
        least_s = min((spent[name] for name in times if name not in failed), default=0.0)
        said.update(min(least_s, timing.seconds), timing.seconds, kind="seconds of each contender")
    return Turns({name: own for name, own in times.items() if name not in failed}, failed)


@contextmanager
def _surviving(contender: Contender, first: Contender, failed: dict[str, str]) -> Iterator[None]:
    """Note what befalls a contender instead of raising it, unless it is the one the others are compared with."""
    try:
        yield
    except BenchProblem as problem:
        if contender is first:
            raise
        failed[contender.name] = str(problem)
        contender.end()


def _turn_length(contender: Contender, timing: Timing) -> int:
    """The runs of one turn; warms the contender up."""
    typical_s = float(np.median(contender.run(max(timing.warmup, 1)))) / 1e3
    return max(1, round(timing.turn_s / max(typical_s, 1e-6)))


def paired_ratio(numerator: Sequence[Sequence[float]], denominator: Sequence[Sequence[float]]) -> float:
    """The median over the turns of the ratio of the turn's medians."""
    ratios = [np.median(a) / np.median(b) for a, b in zip(numerator, denominator, strict=True)]
    return float(np.median(ratios))
