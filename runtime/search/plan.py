"""How many steps a search has, of which kinds: fixed before the first, so that a resume repeats it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from runtime.search.options import SearchOptions


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
TRAVEL = 8.0
"""How far alpha can go in a whole search where its rate is not given: from uniform to decided."""


@dataclass(frozen=True)
class Plan:
    """`steps` weight steps, `warmup` of them on random paths; architecture steps begin after step `delay`."""

    steps: int
    warmup: int
    delay: int
    every: int
    alpha_lr: float

    def architecture_step(self, index: int) -> int | None:
        """The number of the architecture step that follows weight step `index`, or None."""
        since = index + 1 - self.delay
        return since // self.every - 1 if since > 0 and since % self.every == 0 else None

    @property
    def architecture_steps(self) -> int:
        """Architecture steps in the whole search."""
        return max(0, (self.steps - self.delay) // self.every)

    def describe(self) -> dict[str, Any]:
        """For the log and the checkpoints."""
        return {**asdict(self), "architecture_steps": self.architecture_steps}

    @staticmethod
    def read(described: Mapping[str, Any]) -> Plan:
        """From its description."""
        return Plan(**{name: described[name] for name in ("steps", "warmup", "delay", "every", "alpha_lr")})


def make_plan(
    options: SearchOptions,
    gates: GateSettings,
    batches_an_epoch: int,
    weight_step_s: float = 0.0,
    architecture_step_s: float = 0.0,
) -> Plan:
    """The plan of `options`, shortened to its time budget where it has one and the steps were measured."""
    wanted = max(1.0, (options.warmup + options.epochs) * batches_an_epoch)
    warmup_share = options.warmup / max(1e-9, options.warmup + options.epochs)
    steps = wanted
    if options.budget_s is not None and weight_step_s > 0:
        searching = (1 - warmup_share) / gates.every
        mean_s = weight_step_s + searching * architecture_step_s
        affordable = options.budget_s * (1 - FINISH_SHARE - CALIBRATION_SHARE) / mean_s
        steps = min(wanted, affordable)
    shortened = steps / wanted
    warmup = round(warmup_share * steps)
    delay = warmup + round(min(gates.delay * batches_an_epoch * shortened, (steps - warmup) / 4))
    plan = Plan(max(1, round(steps)), warmup, delay, gates.every, 0.0)
    rate = gates.lr or min(0.2, max(1e-3, TRAVEL / max(1, plan.architecture_steps)))
    return Plan(plan.steps, plan.warmup, plan.delay, plan.every, rate)
