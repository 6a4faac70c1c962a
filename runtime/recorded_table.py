"""Latency tables as a view of the records: prices and whole networks are kept there, a table is read from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from compiler.codegen.schedules.template import Schedule
from compiler.kernel import Kernel
from compiler.latency import Entry, LatencyTable, MeasuredNoise, Model, Sample, TableProblem
from compiler.passes.fuse import Plan
from compiler.target import Target
from runtime.device import Noise
from runtime.fit_latency import fit_samples
from runtime.records import Key, NetworkRecord, PriceRecord, Record, Records, best_of, digest, key_of

if TYPE_CHECKING:
    from runtime.price_kernels import Price

SHOWN = 5
"""How many missing kernels a message names."""


class MissingPrices(TableProblem):
    """Kernels without a price under the key of a table; `missing` has the signatures of all."""

    def __init__(self, missing: Sequence[str], key: Key) -> None:
        names = "".join(f"\n  {signature}" for signature in missing[:SHOWN])
        more = f"\n  and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        where = f"target {key.target}, TVM {key.tvm}, processor {key.processor}"
        super().__init__(
            f"the records hold no price of {len(missing)} kernels for {where}; profile the space:{names}{more}"
        )
        self.missing = tuple(missing)


def keep_prices(
    records: Records,
    target: Target,
    schedules: Mapping[str, Schedule],
    prices: Mapping[str, Price],
    company: int,
    noise: Noise | MeasuredNoise,
) -> None:
    """Keep the prices of kernels in the company of `company` others, with how quiet the machine was."""
    key = key_of(target)
    records.add_prices(
        PriceRecord(
            signature,
            key,
            schedules[signature],
            price.median_ns,
            price.spread,
            company,
            noise.load,
            noise.steal,
            noise.spread,
        )
        for signature, price in prices.items()
    )


def keep_networks(
    records: Records,
    target: Target,
    plans: Sequence[Plan],
    schedules: Mapping[str, Schedule],
    samples: Sequence[Sample],
) -> None:
    """Keep the networks that a model was fitted on; `samples` are of `plans`, in their order."""
    key = key_of(target)
    kernels = [tuple(call.kernel.signature for call in plan.calls) for plan in plans]
    records.add_networks(
        NetworkRecord(
            key, names, tuple(schedules[name] for name in names), sample.kernels_ms, sample.measured_ms
        )
        for names, sample in zip(kernels, samples, strict=True)
    )


def table_from_records(kernels: Mapping[str, Kernel], target: Target, records: Records) -> LatencyTable:
    """The latency table of some kernels on this machine, from what the records hold; nothing is measured.

    A kernel has the price of its fastest record's schedule; where that was not priced yet, the least of the
    prices it has. The model is fitted on the networks that were made of these kernels.

    Raises:
        MissingPrices: some kernels have no price under this machine's key; the message names them.
        RecordsProblem: the database cannot be read.
    """
    key = key_of(target)
    best = best_of(records.rows(kernels, key))
    prices = _chosen(records.prices(kernels, key), best)
    missing = [signature for signature in kernels if signature not in prices]
    if missing:
        raise MissingPrices(missing, key)
    return LatencyTable(
        target=target.to_json(),
        processor=key.processor,
        tvm=key.tvm,
        entries={signature: _entry(prices[signature], best) for signature in kernels},
        model=_model(records.networks(key), kernels),
        records=digest(best.values()),
        noise=_worst(list(prices.values())),
    )


def _chosen(prices: Sequence[PriceRecord], best: Mapping[str, Record]) -> dict[str, PriceRecord]:
    """Each kernel's price: of its best schedule, else the least."""

    def rank(price: PriceRecord) -> tuple[bool, float]:
        fastest = best.get(price.signature)
        return fastest is None or fastest.schedule != price.schedule, price.median_ns

    chosen: dict[str, PriceRecord] = {}
    for price in prices:
        held = chosen.get(price.signature)
        if held is None or rank(price) < rank(held):
            chosen[price.signature] = price
    return chosen


def _entry(price: PriceRecord, best: Mapping[str, Record]) -> Entry:
    return Entry(price.median_ns / 1e6, price.spread, price.signature in best, price.schedule.text)


def _model(networks: Sequence[NetworkRecord], kernels: Mapping[str, Kernel]) -> Model:
    """The model of the newest sample of every network that has these kernels alone."""
    newest: dict[tuple[str, ...], NetworkRecord] = {}
    for network in sorted(networks, key=lambda network: network.measured):
        if all(signature in kernels for signature in network.kernels):
            newest[network.kernels] = network
    samples = [Sample(len(each.kernels), each.kernels_ms, each.measured_ms) for each in newest.values()]
    return fit_samples(sorted(samples, key=lambda sample: (sample.calls, sample.kernels_ms)))


def _worst(prices: Sequence[PriceRecord]) -> MeasuredNoise:
    """The least quiet moment of those in which the prices were taken."""
    moments = [Noise(price.load, price.steal, price.noise) for price in prices] or [Noise(0.0, 0.0, 1.0)]
    return MeasuredNoise(
        load=max(moment.load for moment in moments),
        steal=max(moment.steal for moment in moments),
        spread=max(moment.spread for moment in moments),
        noisy=any(moment.noisy for moment in moments),
    )
