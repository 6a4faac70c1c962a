"""Prices and whole networks on their way into the records: kept as they are measured, asked for before they are.

A schedule of a kernel is priced in several passes, each a row of its own, so that an interrupted profile goes
on with the pass it was in. What is held stays: where a group is run again because one of its kernels is new,
the others keep the prices that other tables were made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from compiler.codegen.schedules.template import Schedule
from compiler.latency import Sample
from compiler.passes.fuse import Plan
from compiler.target import Target
from runtime.device import Noise
from runtime.records import COMPANY, Key, NetworkRecord, PriceRecord, Records, key_of
from runtime.rounds import middle
from runtime.shortlist import Shortlists

Item = tuple[str, Schedule]
"""What is priced: the signature of a kernel, and one of its schedules."""


@dataclass(frozen=True, slots=True)
class Price:
    """A kernel in company by a schedule: the median of means of its runs in nanoseconds, and p90 over that."""

    schedule: Schedule
    median_ns: float
    spread: float


class Timed(Protocol):
    """Whatever was timed."""

    @property
    def median_ns(self) -> float:
        """Its time in nanoseconds."""
        ...


Kind = TypeVar("Kind", bound=Timed)


def least(passes: Iterable[tuple[Item, Kind]], rank: Callable[[Kind], Any]) -> dict[str, Kind]:
    """Each kernel's price: of all its schedules the one of the least rank, each by its middle pass."""
    grouped: dict[Item, list[Kind]] = {}
    for item, price in passes:
        grouped.setdefault(item, []).append(price)
    found: dict[str, Kind] = {}
    for (name, _), prices in grouped.items():
        price = middle(prices, lambda each: each.median_ns)
        if name not in found or rank(price) < rank(found[name]):
            found[name] = price
    return found


class PriceLog:
    """The passes in which the shortlisted schedules are priced; `company` is what a network has of kernels.

    `processor` is as in `key_of`.

    Raises:
        RecordsProblem: the records cannot be read.
    """

    def __init__(
        self,
        records: Records,
        target: Target,
        shortlists: Shortlists,
        company: int,
        noise: Noise,
        *,
        processor: str | None = None,
    ) -> None:
        self.records, self.company, self.noise = records, company, noise
        self.items = [(name, schedule) for name in sorted(shortlists) for schedule in shortlists[name]]
        self._key = key_of(target, processor)
        self._passes: dict[str, dict[Item, Price]] = {}
        wanted = set(self.items)
        for row in records.prices(shortlists, self._key):
            if (row.signature, row.schedule) in wanted:
                held = self._passes.setdefault(row.context, {})
                held[row.signature, row.schedule] = Price(row.schedule, row.median_ns, row.spread)

    def lacks(self, number: int, items: Sequence[Item]) -> bool:
        """Whether a pass has no price of one of these."""
        held = self._passes.get(_context(number), {})
        return any(item not in held for item in items)

    def keep(self, number: int, prices: Mapping[Item, Price], processor: str) -> None:
        """Keep the prices of a pass that it lacks, taken on a processor; on disk when this returns.

        Raises:
            RecordsProblem: they cannot be written.
        """
        held = self._passes.setdefault(_context(number), {})
        new = {item: price for item, price in prices.items() if item not in held}
        key = replace(self._key, processor=processor)
        self.records.add_prices(self._record(number, name, price, key) for (name, _), price in new.items())
        held.update(new)

    def _record(self, number: int, signature: str, price: Price, key: Key) -> PriceRecord:
        return PriceRecord(
            signature,
            key,
            price.schedule,
            price.median_ns,
            price.spread,
            self.company,
            self.noise.load,
            self.noise.steal,
            self.noise.spread,
            _context(number),
        )

    def chosen(self) -> dict[str, Price]:
        """Each kernel's price: of all its schedules the least."""
        passes = (pair for held in self._passes.values() for pair in held.items())
        return least(passes, lambda price: price.median_ns)


def _context(number: int) -> str:
    return f"{COMPANY}, pass {number + 1}"


def unmeasured(
    records: Records, key: Key, plans: Sequence[Plan], schedules: Mapping[str, Schedule]
) -> list[Plan]:
    """The networks that the records do not hold under a key with these schedules."""
    held = {(network.kernels, network.schedules) for network in records.networks(key)}
    return [plan for plan in plans if _identity(plan, schedules) not in held]


def keep_networks(
    records: Records,
    target: Target,
    plans: Sequence[Plan],
    schedules: Mapping[str, Schedule],
    samples: Sequence[Sample],
    processors: Sequence[str],
) -> None:
    """Keep networks that were measured whole; `samples`, and `processors` they ran on, are of `plans` in their order.

    Raises:
        RecordsProblem: they cannot be written.
    """
    records.add_networks(
        NetworkRecord(
            key_of(target, processor), *_identity(plan, schedules), sample.kernels_ms, sample.measured_ms
        )
        for plan, sample, processor in zip(plans, samples, processors, strict=True)
    )


def _identity(plan: Plan, schedules: Mapping[str, Schedule]) -> tuple[tuple[str, ...], tuple[Schedule, ...]]:
    """The kernels of a network in the order of its calls, and their schedules."""
    names = tuple(call.kernel.signature for call in plan.calls)
    return names, tuple(schedules[name] for name in names)
