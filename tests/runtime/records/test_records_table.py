"""A latency table is a view of the records; what they hold of prices and networks is not measured again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compiler.codegen.schedules import candidates
from compiler.codegen.schedules.template import Schedule
from compiler.frontend import space_of
from compiler.latency import Model, Sample
from compiler.passes.flatten import flatten
from compiler.target import Target
from dsl.source import Source
from runtime import profiler
from runtime.budget import Budget
from runtime.console import Silent
from runtime.device import Noise, fingerprint, host
from runtime.fit_latency import FEWEST_SAMPLES, NETWORK_S, affordable, with_cuts
from runtime.price_kernels import PASSES, Time, price
from runtime.price_log import Price, PriceLog
from runtime.profiler import LEAST_NETWORKS, forget_prices, profile, profile_space
from runtime.recorded_table import MissingPrices, table_from_records
from runtime.records import COMPANY, NetworkRecord, PriceRecord, Record, Records, key_of
from runtime.workers import Built, Measured, RequestOf, Worker
from tests.compiler.codegen.plans import mobile

pytestmark = pytest.mark.tvm
QUIET = Noise(0.0, 0.0, 1.0)
SPACE = "space s { input [1, 8, 8]  output [10]  conv(8, choose(1, 3)) -> bn -> relu -> global_pool -> linear(10) }"
PLANS = [mobile(1, layers=layers) for layers in (1, 2, 4)]
KERNELS = {name: kernel for plan in PLANS for name, kernel in plan.kernels.items()}


@pytest.fixture(scope="module")
def target() -> Target:
    return host()


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with Records(tmp_path / "r.sqlite") as opened:
        yield opened


def pools(target: Target) -> dict[str, tuple[Schedule, Schedule]]:
    """The default schedule of each kernel, and another of its template."""
    defaults = {name: candidates(kernel, target)[0] for name, kernel in KERNELS.items()}
    return {
        name: (first, Schedule.of(first.template, {**dict(first.parameters), "vectors": 77}))
        for name, first in defaults.items()
    }


def slow(schedule: Schedule) -> Schedule:
    """A schedule that is not worth a price."""
    return Schedule.of(schedule.template, {**dict(schedule.parameters), "vectors": 78})


def fill(records: Records, target: Target) -> None:
    """Records in which each kernel's second schedule is its best, and prices: the least of one that is slow alone."""
    key = key_of(target)
    for name, (first, second) in pools(target).items():
        times = {first: 2000, second: 1000, slow(first): 1200}
        records.add_all(Record(name, key, schedule, (time,)) for schedule, time in times.items())
        held = PriceRecord(name, key, second, 3000.0, 1.5, 5, noise=1.1)
        records.add_prices(
            [
                replace(held, schedule=slow(first), median_ns=500.0, context="a"),
                replace(held, schedule=first, median_ns=2700.0, context="a"),
                replace(held, context="a"),
                replace(held, context="b", median_ns=2500.0, spread=1.25, load=3.0),
            ]
        )


def test_a_kernel_costs_the_least_price_of_its_shortlist(records: Records, target: Target) -> None:
    fill(records, target)
    table = table_from_records(KERNELS, target, records)
    for name, (_, second) in pools(target).items():
        entry = table.of(name)
        assert (entry.median_ms, entry.spread, entry.tuned) == (0.0025, 1.25, True)
        assert entry.schedule == second.text
    assert (table.noise.load, table.noise.spread, table.noise.noisy) == (3.0, 1.1, False)
    assert (table.model.samples, table.model.error) == ((), 1.0)


def test_a_default_that_is_faster_in_company_is_taken(records: Records, target: Target) -> None:
    fill(records, target)
    name, (first, _) = next(iter(pools(target).items()))
    records.add_prices([PriceRecord(name, key_of(target), first, 2400.0, 1.0, 5, context="b")])
    assert table_from_records(KERNELS, target, records).of(name).schedule == first.text


def test_a_schedule_that_cannot_be_built_any_more_counts_for_nothing(
    records: Records, target: Target
) -> None:
    fill(records, target)
    before, (name, *_) = table_from_records(KERNELS, target, records), KERNELS
    gone = Schedule.of("gone/1", {"vectors": 1})
    records.add(Record(name, key_of(target), gone, (1,)))
    records.add_prices([PriceRecord(name, key_of(target), gone, 1.0, 1.0, 5)])
    assert table_from_records(KERNELS, target, records) == before


def test_the_lack_of_a_price_is_named(records: Records, target: Target) -> None:
    fill(records, target)
    wanted = {**KERNELS, "one more": next(iter(KERNELS.values()))}
    with pytest.raises(MissingPrices, match=r"no price of 1 kernel for .*\n  one more") as found:
        table_from_records(wanted, target, records)
    assert found.value.missing == ("one more",)


def test_the_model_is_of_networks_with_the_schedules_of_the_table(records: Records, target: Target) -> None:
    fill(records, target)
    key, (first, second) = key_of(target), zip(*pools(target).values(), strict=True)
    names = tuple(KERNELS)
    old = [NetworkRecord(key, names[:n], first[:n], 1.0, 50.0, f"2026-01-0{n}") for n in (2, 3)]
    records.add_networks([*old, NetworkRecord(key, ("foreign",), first[:1], 1.0, 1.0)])
    assert len(table_from_records(KERNELS, target, records).model.samples) == 2
    records.add_networks(NetworkRecord(key, names[:n], second[:n], 1.0, 1.0 + n / 10) for n in (1, 2, 3))
    model = table_from_records(KERNELS, target, records).model
    assert [sample.measured_ms for sample in model.samples] == [1.1, 1.2, 1.3]
    assert model.per_call_ms == pytest.approx(0.1)


def test_the_digest_is_of_the_prices_and_networks_that_the_table_stands_on(
    records: Records, target: Target
) -> None:
    fill(records, target)
    key, (name, (first, second)) = key_of(target), next(iter(pools(target).items()))

    def now() -> str:
        return table_from_records(KERNELS, target, records).records

    seen = [now()]
    records.add(Record(name, key, slow(first), (1201,)))
    records.add_prices([PriceRecord(name, key, first, 2800.0, 1.0, 5, context="a")])
    assert now() == seen[0]
    records.add_prices([PriceRecord(name, key, second, 2500.0, 1.25, 5, context="b")])
    seen.append(now())
    records.add_networks([NetworkRecord(key, (name,), (second,), 1.0, 1.1)])
    seen.append(now())
    records.add_networks([NetworkRecord(key, ("foreign",), (second,), 1.0, 1.1)])
    assert now() == seen[-1]
    records.add_networks([NetworkRecord(key, (name,), (second,), 1.0, 1.2)])
    assert now() not in seen
    assert len(set(seen)) == 3


class Said(Silent):
    """Progress whose notes are kept."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Keep it."""
        self.notes.append(text)


class Machine:
    """Workers whose kernels take as many microseconds as there were measurements, until they are interrupted."""

    def __init__(self, measurements: int) -> None:
        self.left, self.groups = measurements, list[int]()
        self.all = (self,)

    @property
    def first(self) -> Machine:
        """The one worker."""
        return self

    def build(self, requests: list[dict[str, Any]], seconds: float) -> Iterator[tuple[int, Built]]:
        """Build everything."""
        for index, request in enumerate(requests):
            yield index, Built(index, Worker(()), 0, {"kernels": len(request["kernels"])})

    def measure(self, built: Sequence[Built], request_of: RequestOf) -> Iterator[tuple[int, Measured]]:
        """One measurement after the other."""
        for each in built:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            self.groups.append(each.index)
            rows = [[1000 * len(self.groups)] * each.answer["kernels"]] * 3
            yield each.index, Measured(rows, self.processor)

    def forget(self, built: Sequence[Built]) -> None:
        """Nothing to free."""

    @property
    def processor(self) -> str:
        """This machine's."""
        return fingerprint()


@pytest.mark.parametrize("point", range(5))
def test_pricing_goes_on_in_the_pass_it_was_in(records: Records, target: Target, point: int) -> None:
    schedules = {name: [pool[0]] for name, pool in pools(target).items()}
    whole = Machine(-1)
    log = PriceLog(records, target, schedules, 4, QUIET)
    first = Machine(point)
    with pytest.raises(KeyboardInterrupt):
        price(target, first, log)  # type: ignore[arg-type]
    second = Machine(-1)
    log = PriceLog(records, target, schedules, 4, QUIET)
    found = price(target, second, log)  # type: ignore[arg-type]
    assert set(found) == set(schedules)
    records.forget(schedules, key_of(target))
    price(target, whole, PriceLog(records, target, schedules, 4, QUIET))  # type: ignore[arg-type]
    assert len(first.groups) + len(second.groups) == len(whole.groups) > 5
    again = Machine(0)
    assert price(target, again, PriceLog(records, target, schedules, 4, QUIET))  # type: ignore[arg-type]


def test_a_price_that_is_held_stays_where_its_group_is_run_again(records: Records, target: Target) -> None:
    schedules = {name: [pool[0]] for name, pool in pools(target).items()}
    price(target, Machine(-1), PriceLog(records, target, schedules, 4, QUIET))  # type: ignore[arg-type]
    before = PriceLog(records, target, schedules, 4, QUIET).chosen()
    changed, *others = schedules
    schedules[changed] = [pools(target)[changed][1]]
    machine = Machine(-1)
    after = price(target, machine, PriceLog(records, target, schedules, 4, QUIET))  # type: ignore[arg-type]
    assert len(set(machine.groups)) == 1
    assert len(machine.groups) == PASSES
    assert {name: after[name] for name in others} == {name: before[name] for name in others}
    # The middle one of 1, 2 and 3 microseconds.
    assert after[changed] == Price(schedules[changed][0], 2000.0, 1.0)


def test_a_profile_is_the_view_and_measures_nothing_twice(
    records: Records, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = profile(KERNELS, target, records, sample_plans=PLANS, trials=1)
    assert table == table_from_records(KERNELS, target, records)
    assert [sample.calls for sample in table.model.samples] == sorted(
        {len(table.joined(plan).calls) for plan in with_cuts(PLANS)}
    )

    monkeypatch.setattr(profiler, "workers_of", lambda *given: nullcontext(Machine(0)))
    monkeypatch.setattr(profiler, "probe_noise", lambda target, worker: QUIET)
    monkeypatch.setattr(profiler, "measure_samples", None)
    assert profile(KERNELS, target, records, sample_plans=PLANS, trials=1) == table


class Clock:
    """A clock that goes on by a second whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_what_is_forgotten_is_that_of_the_kernels_alone(records: Records, target: Target) -> None:
    key, schedules = key_of(target), {name: pool[0] for name, pool in pools(target).items()}
    other = replace(key, processor="other")
    kept, *forgotten = schedules
    records.add_prices(
        PriceRecord(name, each, schedule, 5.0, 1.0, 1)
        for name, schedule in schedules.items()
        for each in (key, other)
    )
    networks = [tuple(names) for names in (forgotten, forgotten[:1], schedules)]
    records.add_networks(
        NetworkRecord(key, names, tuple(schedules[name] for name in names), 1.0, 2.0) for names in networks
    )
    records.forget(forgotten, key)
    assert [row.signature for row in records.prices(key=key)] == [kept]
    assert {row.signature for row in records.prices(key=other)} == set(schedules)
    assert [row.kernels for row in records.networks()] == [networks[-1]]


def test_a_restarted_profile_keeps_no_price_of_before(target: Target, tmp_path: Path) -> None:
    """Not even where it is interrupted before it has priced anything, or has time for one pass alone."""
    flat, path = flatten(space_of(Source("s.space", SPACE))), tmp_path / "r.sqlite"
    table = profile_space(flat, target, records=path, budget=Budget(0.1), trials=1)
    with Records(path) as records:
        records.add_prices(
            replace(row, median_ns=9e9, context=f"{COMPANY}, pass 3") for row in records.prices()
        )
        tried = records.prices()[0]
        records.add(Record(tried.signature, tried.key, tried.schedule, (5,)))
        assert records.networks()
    forget_prices(flat, target, records=path)
    with Records(path) as records:
        assert (records.prices(), records.networks()) == ([], [])
        assert records.rows(), "the schedules that were tried stay"
    after = profile_space(flat, target, records=path, budget=Budget(0.1), trials=1)
    assert set(after.entries) == set(table.entries)
    assert max(entry.median_ms for entry in after.entries.values()) < 9e3


def test_pricing_keeps_to_its_time_and_prices_each_kernel_once(records: Records, target: Target) -> None:
    schedules = {name: list(pool) for name, pool in pools(target).items()}
    machine = Machine(-1)
    log = PriceLog(records, target, schedules, 4, QUIET)
    price(target, machine, log, time=Time(Budget(0.0), 1.0))  # type: ignore[arg-type]
    held = records.prices()
    assert {row.signature: row.schedule for row in held} == {name: own[0] for name, own in schedules.items()}
    assert len(held) == len(schedules), "one schedule of each, in one pass"
    again = Machine(0)
    price(target, again, PriceLog(records, target, schedules, 4, QUIET), time=Time(Budget(0.0), 1.0))  # type: ignore[arg-type]
    price(target, Machine(-1), PriceLog(records, target, schedules, 4, QUIET))  # type: ignore[arg-type]
    assert len(records.prices()) == PASSES * 2 * len(schedules), "the rest, once there is time"


def test_as_many_schedules_are_priced_as_there_is_time_to_build(records: Records, target: Target) -> None:
    schedules = {name: list(pool) for name, pool in pools(target).items()}
    count = len(schedules)
    budget = Budget(count + 3.5 + 2, clock=lambda: 0.0)
    price(target, Machine(-1), PriceLog(records, target, schedules, 4, QUIET), time=Time(budget, 1.0, 2))  # type: ignore[arg-type]
    assert len({(row.signature, row.schedule) for row in records.prices()}) == count + 3


def test_a_pass_that_would_not_end_in_time_is_not_begun(records: Records, target: Target) -> None:
    schedules = {name: [pool[0]] for name, pool in pools(target).items()}
    machine = Machine(-1)
    log, budget = PriceLog(records, target, schedules, 4, QUIET), Budget(9.0, clock=Clock())
    price(target, machine, log, time=Time(budget))  # type: ignore[arg-type]
    assert {row.context for row in records.prices()} < {f"company, pass {number}" for number in (1, 2, 3)}


def test_networks_are_measured_as_time_allows_the_longest_and_the_shortest_first() -> None:
    plans = sorted(PLANS, key=lambda plan: len(plan.calls))
    shortest, *_, longest = plans
    one, two = (
        len(longest.kernels) + NETWORK_S,
        len(longest.kernels) + len(shortest.kernels) + 2 * NETWORK_S,
    )
    assert affordable(plans, 1.0, 1, float("inf"), 1) == plans
    assert affordable(plans, 1.0, 1, two, 1) == [shortest, longest]
    assert affordable(plans, 1.0, 1, two - 1, 1) == [longest]
    assert affordable(plans, 1.0, 2, one, 0) == [], "one worker alone compiles a network"
    assert affordable(plans, 1.0, 2, one + len(longest.kernels), 0) == [longest]
    assert affordable(plans, 1.0, 1, -1.0, 2) == [shortest, longest]
    assert affordable(plans, 1.0, 1, -1.0, 0) == []


@pytest.mark.parametrize(("error", "warns"), [(0.67, True), (0.3, False)])
def test_a_model_that_is_far_off_is_said_with_the_way_out(error: float, warns: bool) -> None:
    said = Said()
    profiler._note_model(Model(0.0, 0.0, error, (Sample(1, 1.0, 1.0),) * FEWEST_SAMPLES), said)
    assert [note.partition(" on ")[0] for note in said.notes] == ["predictions are off by 67%"] * warns
    assert all("`onepath profile --restart`" in note for note in said.notes)


def test_an_interrupted_profile_says_what_is_kept(
    records: Records, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*given: object) -> Noise:
        raise KeyboardInterrupt

    monkeypatch.setattr(profiler, "workers_of", lambda *given: nullcontext(Machine(0)))
    monkeypatch.setattr(profiler, "probe_noise", stop)
    with pytest.raises(KeyboardInterrupt, match="nothing was measured yet by this run"):
        profile(KERNELS, target, records, sample_plans=PLANS)


def test_a_budget_too_short_is_said_and_what_must_be_is_measured(
    records: Records, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Said()
    table = profile(KERNELS, target, records, sample_plans=PLANS, budget=Budget(0.1), trials=9, progress=said)
    assert set(table.entries) == set(KERNELS)
    assert len(table.model.samples) == LEAST_NETWORKS
    assert len(records.rows()) <= 1
    assert any("and the budget is 0.1 s: each kernel is built and run once" in note for note in said.notes)
