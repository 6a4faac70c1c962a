"""A latency table as a view of the records: nothing but what they hold, and nothing is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from compiler.footprint import constant_bytes
from compiler.kernel import Kernel, parse
from compiler.latency import Entry, LatencyTable, MeasuredNoise, Model, Sample, TableProblem
from compiler.target import Target
from dsl.suggest import counted
from runtime.device import Noise
from runtime.fit_latency import FEWEST_SAMPLES, fit_samples
from runtime.price_log import least
from runtime.records import (
    Key,
    NetworkRecord,
    PriceRecord,
    Record,
    Records,
    best_of,
    key_of,
    writer_of,
)
from runtime.records.tables import NETWORK, PRICE
from runtime.shortlist import Shortlists, shortlists
from runtime.tune import usable

SHOWN = 5
"""How many missing kernels a message names."""


class MissingPrices(TableProblem):
    """Kernels without a price under the key of a table; `missing` has the signatures of all."""

    def __init__(self, missing: Sequence[str], key: Key) -> None:
        names = "".join(f"\n  {signature}" for signature in missing[:SHOWN])
        more = f"\n  and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        where = f"target {key.target}, TVM {key.tvm}, processor {key.processor}"
        count = counted(len(missing), "kernel")
        super().__init__(f"the records hold no price of {count} for {where}; profile the space:{names}{more}")
        self.missing = tuple(missing)


def table_from_records(
    kernels: Mapping[str, Kernel], target: Target, records: Records, processor: str | None = None
) -> LatencyTable:
    """The latency table of some kernels on this machine, from what the records hold; nothing is measured.

    With `processor`, as in `key_of`, on that instead.

    A kernel has the least price of its shortlisted schedules, each by its middle pass; where none was priced yet,
    the least of the prices it has. The model is fitted on networks that were measured whole and have these kernels
    alone.

    Raises:
        MissingPrices: some kernels have no price under this machine's key; the message names them.
        RecordsProblem: the database cannot be read.
    """
    key = key_of(target, processor)
    rows = usable(records, kernels, key)
    best = best_of(rows)
    prices = chosen_prices(records.prices(kernels, key), shortlists(kernels, target, rows))
    missing = [signature for signature in kernels if signature not in prices]
    if missing:
        raise MissingPrices(missing, key)
    entries = {signature: entry_of(prices[signature], best) for signature in kernels}
    networks = _fitting(records.networks(key), entries)
    return LatencyTable(
        target=target.to_json(),
        processor=key.processor,
        tvm=key.tvm,
        entries=entries,
        model=_model(networks),
        records=digest((prices[signature] for signature in kernels), networks),
        noise=_worst(list(prices.values())),
    )


def digest(prices: Iterable[PriceRecord], networks: Iterable[NetworkRecord] = (), base: str = "") -> str:
    """The hash of what a table stands on, in whatever order: its kernels' prices, and the networks of its model.

    `base` is the digest of a table that it has the model and other prices from.
    """
    rows = [PRICE.row(price)[-1] for price in prices] + [NETWORK.row(network)[-1] for network in networks]
    return "sha256:" + hashlib.sha256("\n".join([base, *sorted(rows)]).encode()).hexdigest()


def chosen_prices(prices: Iterable[PriceRecord], wanted: Shortlists) -> dict[str, PriceRecord]:
    """Each kernel's price: the least of its shortlist, else the least of a schedule that can be built."""

    def rank(price: PriceRecord) -> tuple[bool, float]:
        return price.schedule not in wanted[price.signature], price.median_ns

    built = (price for price in prices if price.schedule.template == writer_of(price.signature))
    return least((((price.signature, price.schedule), price) for price in built), rank)


def entry_of(price: PriceRecord, best: Mapping[str, Record]) -> Entry:
    """What a table says of a kernel by its price; `best` has the kernels that were tuned."""
    return Entry(
        price.median_ns / 1e6,
        price.spread,
        price.signature in best,
        price.schedule.text,
        constant_bytes(parse(price.signature)),
    )


def _fitting(networks: Sequence[NetworkRecord], entries: Mapping[str, Entry]) -> list[NetworkRecord]:
    """The networks that have these kernels alone: those with these schedules, if they are enough.

    Otherwise the newest of every network, whatever the schedules were: what a call costs does not depend on them.
    """
    own = [each for each in networks if all(name in entries for name in each.kernels)]
    current = [each for each in own if _schedules(each) == [entries[name].schedule for name in each.kernels]]
    newest: dict[tuple[str, ...], NetworkRecord] = {}
    for network in sorted(own, key=lambda network: network.measured):
        newest[network.kernels] = network
    return current if len(current) >= FEWEST_SAMPLES else list(newest.values())


def _model(networks: Iterable[NetworkRecord]) -> Model:
    samples = [_sample(each) for each in networks]
    return fit_samples(sorted(samples, key=lambda sample: (sample.calls, sample.kernels_ms)))


def _sample(network: NetworkRecord) -> Sample:
    constants = sum(constant_bytes(parse(signature)) for signature in network.kernels)
    return Sample(len(network.kernels), network.kernels_ms, network.measured_ms, constants)


def _schedules(network: NetworkRecord) -> list[str]:
    return [schedule.text for schedule in network.schedules]


def _worst(prices: Sequence[PriceRecord]) -> MeasuredNoise:
    """The least quiet moment of those in which the prices were taken."""
    moments = [Noise(price.load, price.steal, price.noise) for price in prices] or [Noise(0.0, 0.0, 1.0)]
    return MeasuredNoise(
        load=max(moment.load for moment in moments),
        steal=max(moment.steal for moment in moments),
        spread=max(moment.spread for moment in moments),
        noisy=any(moment.noisy for moment in moments),
    )
