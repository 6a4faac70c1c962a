"""Limits: whether a network keeps what a space requires."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from compiler.architecture import Architecture, every
from compiler.cost import cost
from compiler.counting import Counter
from compiler.derive import derive
from compiler.ir.expression import Literal
from compiler.ir.graph import Limit, SpaceGraph

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {"<=": operator.le, ">=": operator.ge}
UNITS = {"latency": "ms", "peak_memory": "bytes"}
"""The unit of each metric that is no plain count."""
ENUMERATED, TRIES = 50_000, 10_000
"""Networks that are looked at to count the feasible ones, and draws in vain before sampling them is given up."""

Latency = Callable[[Limit, SpaceGraph, Architecture], float | None]
"""The latency of a network on a limit's target, in milliseconds; None where nothing is known of it."""


class CannotTell(Exception):
    """Whether networks keep the limits cannot be told, or not in bounded time; the message says what can be done."""


def holds(value: float, comparison: str, bound: Any) -> bool:
    """Whether `value <= bound`, or `>=`."""
    return _COMPARE[comparison](value, bound)


def keeps(limit: Limit, value: float) -> bool:
    """Whether a measured value keeps a limit."""
    return holds(value, limit.comparison, limit.bound)


def limit_text(metric: str, comparison: str, bound: float, target: str | None) -> str:
    """A limit as a file writes it."""
    unit = f" {UNITS[metric]}" if metric in UNITS else ""
    return f"{metric} {comparison} {bound:g}{unit}" + (f" on {target}" if target else "")


def broken(space: SpaceGraph, architecture: Architecture, latency: Latency) -> list[tuple[Limit, float]]:
    """The limits of the space that a network breaks, with what it has.

    Raises:
        CannotTell: a latency is not known.
    """
    size = cost(derive(space, architecture.choices))
    sizes = {"macs": size.macs, "params": size.params, "peak_memory": size.peak_memory_bytes}
    found = []
    for limit in space.limits:
        value = sizes[limit.metric] if limit.metric in sizes else latency(limit, space, architecture)
        if value is None:
            raise CannotTell(f"no latency table of `{limit.target}` is at hand: run `onepath profile`")
        if not keeps(limit, value):
            found.append((limit, value))
    return found


def feasible(space: SpaceGraph, drawn: Iterator[Architecture], latency: Latency) -> Iterator[Architecture]:
    """Those of `drawn` that keep all limits of the space.

    Raises:
        CannotTell: a latency is not known, or too many in a row keep them not.
    """
    vain = 0
    for architecture in drawn:
        vain += 1
        if not broken(space, architecture, latency):
            vain = 0
            yield architecture
        elif vain >= TRIES:
            raise CannotTell(
                f"{TRIES:,} networks in a row break a limit of `{space.name}`: are its limits too tight?"
            )


def count_feasible(space: SpaceGraph, choices: Mapping[str, Literal], latency: Latency) -> int:
    """How many of the networks that have all of these choices keep the limits, by looking at each.

    Raises:
        CannotTell: there are too many to look at, or a latency is not known.
    """
    counter = Counter(space, {path: (choice,) for path, choice in choices.items()})
    if counter.size() > ENUMERATED:
        raise CannotTell(
            f"{counter.size():,} networks are too many to look at each ({ENUMERATED:,} are not): "
            "draw some with `onepath sample --feasible`"
        )
    having = (each for each in every(counter) if all(path in each.choices for path in choices))
    return sum(not broken(space, architecture, latency) for architecture in having)
