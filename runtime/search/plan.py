"""How many steps a search has, of which kinds: fixed before the first, so that a resume repeats it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Protocol

from runtime.search.options import SearchOptions, SearchProblem


class GateSettings(Protocol):
    """What strategies with binary gates are set by (see `dsl.settings`)."""

    @property
    def every(self) -> int: ...
    @property
    def delay(self) -> int: ...
    @property
    def lr(self) -> float | None: ...
    @property
    def entropy(self) -> float: ...
    @property
    def explore(self) -> float: ...


FINISH_SHARE = 0.08
"""The share of a time budget that is kept for judging and writing the result."""
CALIBRATION_SHARE = 0.04
"""The share that goes into measuring the steps."""
FINALS_SHARE = 0.5
"""The share of the rest that finals may have, unless the supernet needs less: a few steps of each tell nothing."""
TRAVEL = 8.0
"""How far alpha can go in a whole search where its rate is not given: from uniform to decided."""


@dataclass(frozen=True)
class Plan:
    """`weight_steps` of the supernet, `warmup` of them on random paths; architecture steps begin after step `delay`.
    Then come `finalists` networks, with `final_steps` each."""

    weight_steps: int
    warmup: int
    delay: int
    every: int
    alpha_lr: float
    finalists: int = 0
    final_steps: int = 0

    @property
    def steps(self) -> int:
        """All of them."""
        return self.weight_steps + self.finalists * self.final_steps

    def architecture_step(self, index: int) -> int | None:
        """The number of the architecture step that follows weight step `index`, or None."""
        since = index + 1 - self.delay
        return since // self.every - 1 if since > 0 and since % self.every == 0 else None

    @property
    def architecture_steps(self) -> int:
        """Architecture steps in the whole search."""
        return max(0, (self.weight_steps - self.delay) // self.every)

    def describe(self) -> dict[str, Any]:
        """For the log and the checkpoints."""
        return {"steps": self.steps, **asdict(self), "architecture_steps": self.architecture_steps}

    @staticmethod
    def read(described: Mapping[str, Any]) -> Plan:
        """From its description."""
        return Plan(**{each.name: described[each.name] for each in fields(Plan)})


@dataclass(frozen=True)
class Measured:
    """Seconds that a step takes of each kind, and the evaluation of a finalist (0 where there are none)."""

    weight_step_s: float
    architecture_step_s: float
    evaluation_s: float = 0.0


def make_plan(
    options: SearchOptions,
    gates: GateSettings,
    batches_an_epoch: int,
    measured: Measured | None = None,
    finalists: int = 0,
) -> Plan:
    """The plan of `options`, shortened to its time budget where it has one and the steps were measured.

    Raises:
        SearchProblem: the budget does not suffice for the finals.
    """
    wanted = max(1.0, (options.warmup + options.epochs) * batches_an_epoch)
    warmup_share = options.warmup / max(1e-9, options.warmup + options.epochs)
    final_steps = max(1, round(options.finals.epochs * batches_an_epoch)) if options.finals else 0
    shortened = 1.0
    if options.budget_s is not None and measured is not None:
        searching = (1 - warmup_share) / gates.every
        wanted_s = wanted * (measured.weight_step_s + searching * measured.architecture_step_s)
        available_s = options.budget_s * (1 - FINISH_SHARE - CALIBRATION_SHARE)
        if finalists:
            finals_s = max(FINALS_SHARE * available_s, available_s - wanted_s)
            final_steps = min(final_steps, _final_steps(finals_s, finalists, measured))
            available_s -= finalists * _finalist_s(final_steps, measured)
        shortened = min(1.0, available_s / wanted_s)
    steps = wanted * shortened
    warmup = round(warmup_share * steps)
    delay = warmup + round(min(gates.delay * batches_an_epoch * shortened, (steps - warmup) / 4))
    plan = Plan(max(1, round(steps)), warmup, delay, gates.every, 0.0, finalists, final_steps)
    rate = gates.lr or min(0.2, max(1e-3, TRAVEL / max(1, plan.architecture_steps)))
    return replace(plan, alpha_lr=rate)


def _finalist_s(steps: float, measured: Measured) -> float:
    return steps * measured.weight_step_s + measured.evaluation_s


def _final_steps(available_s: float, finalists: int, measured: Measured) -> int:
    """The most steps that each finalist can have in this time."""
    least_s = finalists * _finalist_s(1, measured)
    if least_s > available_s:
        what = f"a step and an evaluation of {finalists} finalists take {least_s:.3g} s"
        way_out = "raise the `budget`, or have fewer networks in the `finals`"
        raise SearchProblem(f"{what}, and the budget leaves them {available_s:.3g} s", way_out)
    return int((available_s / finalists - measured.evaluation_s) / measured.weight_step_s)
