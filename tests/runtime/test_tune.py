"""Workers outlive what they run; tuning keeps what it measured and goes on from there; profiles predict."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
import pytest

from compiler.codegen.schedules import candidates
from compiler.codegen.schedules.template import packed_size
from compiler.frontend import space_of
from compiler.latency import Entry, Sample
from compiler.passes.flatten import flatten
from compiler.pricing import extreme_plans
from compiler.target import Target
from dsl.reading import read
from runtime import device, fit_latency, measure, network_rounds, price_kernels, profiler, tune
from runtime.budget import Budget
from runtime.files import FileProblem
from runtime.fit_latency import UNSEEN_ERROR, distinct, fit_samples, spread_out, with_cuts
from runtime.latency_table import read_table, write_table
from runtime.price_kernels import CannotPrice
from runtime.price_log import Price, PriceLog
from runtime.profiler import profile, tune_network
from runtime.recorded_table import entry_of, table_from_records
from runtime.records import DIED, FAILED, PriceRecord, Record, Records, best_of, key_of
from runtime.workers import Worker, WorkerFailed, Workers
from tests.compiler.codegen.plans import mobile

pytestmark = pytest.mark.tvm
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def target() -> Target:
    return device.host()


@pytest.fixture(scope="module")
def workers(target: Target) -> Iterator[Workers]:
    with Workers(target.threads) as started:
        yield started


def test_the_host_is_known(target: Target) -> None:
    assert target.lanes in (4, 8, 16)
    assert device.check_cpu(target.cpu, target.triple) is None
    assert device.fingerprint() == device.fingerprint()
    with pytest.raises(ValueError, match="threads asked for"):
        device.host(threads=10_000)


def test_unknown_processors_are_refused_with_near_names() -> None:
    with pytest.raises(device.UnknownProcessor, match=r"did you mean.*znver4"):
        device.processor("znver44", "x86_64-unknown-linux-gnu")
    arm = device.processor("cortex-a76", "aarch64-unknown-linux-gnu")
    assert (arm.vector_bits, arm.registers) == (128, 32)
    assert device.processor("skylake", "x86_64-unknown-linux-gnu").lanes == 8


def test_a_worker_reports_errors_and_goes_on(workers: Workers) -> None:
    with pytest.raises(WorkerFailed, match="not a kernel signature"):
        workers.first.ask({"do": "build", "name": "a", "kernels": [["nonsense", "{}"]], "target": _json()})
    with pytest.raises(WorkerFailed, match="KeyError"):
        workers.first.ask({"do": "something else"})
    assert workers.first.ask({"do": "ping"})["ok"]


def _json() -> dict[str, object]:
    return device.host().to_json()


def test_a_worker_that_died_is_replaced() -> None:
    worker = Worker(device.cores()[:1])
    try:
        worker.ask({"do": "ping"}, 120)
        assert worker._process is not None
        os.kill(worker._process.pid, signal.SIGSTOP)
        with pytest.raises(WorkerFailed, match="no answer within"):
            worker.ask({"do": "ping"}, 0.2)
        assert worker.ask({"do": "ping"}, 120)["ok"]
        assert worker._process is not None
        worker._process.kill()
        with pytest.raises(WorkerFailed, match="signal 9"):
            worker.ask({"do": "ping"})
        assert worker.ask({"do": "ping"}, 120)["ok"]
        assert worker.generation == 2
    finally:
        worker.stop()


def test_tuning_keeps_what_it_measured_and_resumes(target: Target, workers: Workers, tmp_path: Path) -> None:
    plan = mobile(1)
    kernels = dict(list(plan.kernels.items())[:3])
    with Records(tmp_path / "r.sqlite") as records:
        first = tune.tune(kernels, target, records, trials=2, workers=workers)
        assert first.measured == 6
        assert first.complete
        assert set(first.best) == set(kernels)
        assert all(record.median_ns > 0 for record in first.best.values())
        again = tune.tune(kernels, target, records, trials=2, workers=workers)
        assert again.measured == 0
        more = tune.tune(kernels, target, records, trials=3, workers=workers)
        assert more.measured == 3
        assert all(
            more.best[name].schedule in candidates(kernel, target)[:3] for name, kernel in kernels.items()
        )


def test_a_kernel_that_gains_no_more_is_left_alone(
    target: Target, workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = dict(list(mobile(1).kernels.items())[:2])
    monkeypatch.setattr(tune, "PATIENCE", 1)
    monkeypatch.setattr(tune, "GAIN", 0.0)
    monkeypatch.setattr(tune, "BUILDS_PER_ROUND", 1)
    with Records(tmp_path / "r.sqlite") as records:
        first = tune.tune(kernels, target, records, trials=30, workers=workers)
        assert 2 <= first.measured <= 2 + len(workers.all)
        assert first.complete
        assert tune.tune(kernels, target, records, trials=30, workers=workers).measured == 0


def test_a_budget_is_kept(target: Target, workers: Workers, tmp_path: Path) -> None:
    with Records(tmp_path / "r.sqlite") as records:
        begin = time.monotonic()
        result = tune.tune(mobile(1).kernels, target, records, trials=500, budget=Budget(2), workers=workers)
        assert not result.complete
        assert time.monotonic() - begin < 20
        assert len(records.rows()) == result.measured


def test_a_candidate_that_fails_costs_itself_alone(
    target: Target, workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tune._Run._build

    def broken(run: tune._Run, name: str, trial: tune._Trial) -> dict[str, object]:
        request = real(run, name, trial)
        if name == "1" and not run.done:
            request["kernels"] = [[trial.task.signature, '{"template": "gone"}']]
        return request

    monkeypatch.setattr(tune._Run, "_build", broken)
    kernels = dict(list(mobile(1).kernels.items())[:2])
    with Records(tmp_path / "r.sqlite") as records:
        result = tune.tune(kernels, target, records, trials=2, workers=workers)
        assert (result.measured, result.failed) == (4, 1)
        failures = [row.status for row in records.rows() if row.status != "ok"]
        assert len(failures) == 1
        assert "no schedule template is called `gone`" in failures[0]


def test_a_death_condemns_neither_its_neighbours_nor_itself_at_once(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = dict(list(mobile(1).kernels.items())[:1])
    real, deadly = tune._Run._measure, candidates(next(iter(kernels.values())), target)[0]

    single = Workers(target.threads, 1)

    def kill(run: tune._Run, trial: tune._Trial) -> dict[str, object]:
        if trial.schedule == deadly:
            assert single.all[0]._process is not None
            single.all[0]._process.kill()
        return real(run, trial)

    monkeypatch.setattr(tune._Run, "_measure", kill)
    with single, Records(tmp_path / "r.sqlite") as records:
        for status in (DIED, FAILED):
            result = tune.tune(kernels, target, records, trials=3, workers=single)
            assert result.failed == 1
            rows = {row.schedule: row.status for row in records.rows()}
            assert rows.pop(deadly).startswith(status)
            assert list(rows.values()) == ["ok", "ok"]
        assert tune.tune(kernels, target, records, trials=3, workers=single).measured == 0


def test_what_the_budget_left_unmeasured_waits(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = dict(list(mobile(1).kernels.items())[:1])
    forgotten: list[str] = []
    real = Worker.ask

    def ask(worker: Worker, request: dict[str, object], seconds: float = 60.0) -> dict[str, object]:
        if request["do"] == "forget":
            forgotten.append(str(request["name"]))
        return real(worker, request, seconds)

    monkeypatch.setattr(Worker, "ask", ask)
    monkeypatch.setattr(tune._Run, "rounds", lambda run: run._round(run._batch(3)))
    monkeypatch.setattr(tune._Run, "over", True)
    with Workers(target.threads, 1) as single, Records(tmp_path / "r.sqlite") as records:
        result = tune.tune(kernels, target, records, trials=3, workers=single)
    assert (result.measured, result.complete) == (1, False)
    assert sorted(forgotten) == ["0", "1", "2"]


def test_the_culprit_is_sought_when_all_workers_are_idle(target: Target, tmp_path: Path) -> None:
    schedules = {name: candidates(kernel, target)[0] for name, kernel in mobile(1).kernels.items()}

    class Idle:
        over = False

        @property
        def first(self) -> Idle:
            return self

        def build(self, requests: list[object], seconds: float) -> Iterator[tuple[int, object]]:
            for index in range(len(requests)):
                yield index, WorkerFailed("too large") if index == 0 else None
            self.over = True

        def ask(self, request: object, seconds: float = 1.0) -> dict[str, object]:
            assert self.over
            return {}

    with Records(tmp_path / "r.sqlite") as records:
        log = PriceLog(
            records, target, {name: [own] for name, own in schedules.items()}, 2, device.Noise(0.0, 0.0, 1.0)
        )
        with pytest.raises(CannotPrice, match="cannot be built together: too large"):
            price_kernels.price(target, Idle(), log)  # type: ignore[arg-type]


def test_a_kernel_whose_every_trial_failed_is_not_tuned(target: Target) -> None:
    kernels = mobile(1).kernels
    schedule = candidates(next(iter(kernels.values())), target)[0]
    failing, fine, new = list(kernels)[:3]
    rows = [
        Record(failing, key_of(target), schedule, (), f"{FAILED}no"),
        Record(fine, key_of(target), schedule, (5,)),
    ]
    best = best_of(rows)
    prices = [PriceRecord(name, key_of(target), schedule, 5.0, 1.0, 1) for name in (failing, fine, new)]
    assert [price.signature for price in prices if entry_of(price, best).tuned] == [fine]


def test_a_price_counts_short_stops_and_no_long_ones() -> None:
    times = np.full(1000, 3000.0)
    assert price_kernels.median_of_means(times) == 3000
    times[::20] += (
        4000  # one run in twenty stops for 4 microseconds: the median of all runs would leave that out
    )
    assert price_kernels.median_of_means(times) == pytest.approx(3200, rel=0.02)
    times[500] += 4e6  # something else ran for 4 milliseconds
    assert price_kernels.median_of_means(times) == pytest.approx(3200, rel=0.02)
    assert price_kernels.median_of_means(np.array([5e6, 4e6, 9e6])) == 5e6


def test_the_company_touches_as_much_as_a_network(target: Target) -> None:
    plan = mobile(1)
    group = [(name, candidates(kernel, target)[0]) for name, kernel in plan.kernels.items()][:2]
    kernels = [plan.kernels[name] for name, _ in group]
    values = max(prod(kernel.output) + sum(map(prod, kernel.inputs)) for kernel in kernels)
    own = 4 * (sum(map(packed_size, kernels)) + values)
    asked = [price_kernels._request(group, own + more)["lines"] for more in (0, 64 * 2 * 100, -10)]
    assert asked == [0, 100, 0]


def test_few_networks_are_fitted_on_their_beginnings_too(target: Target, workers: Workers) -> None:
    plan = mobile(1)
    assert spread_out([plan, mobile(1), plan]) == [plan]
    cuts = with_cuts([plan])
    assert len(cuts) == fit_latency.FEWEST_SAMPLES
    assert cuts[-1] == plan
    assert len(with_cuts([mobile(1, layers=layers) for layers in (1, 2, 3, 4)])) == 4
    schedules = {name: candidates(kernel, target)[0] for name, kernel in plan.kernels.items()}
    prices = {name: Price(schedule, 1000.0, 1.0) for name, schedule in schedules.items()}
    model = fit_samples(fit_latency.measure_samples(cuts, prices, target, workers)[0])
    assert [sample.calls for sample in model.samples] == [len(cut.calls) for cut in cuts]


def test_nothing_measured_is_an_error(
    target: Target, workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(run: tune._Run, name: str, trial: object) -> dict[str, object]:
        return {"do": "nothing"}

    monkeypatch.setattr(tune._Run, "_build", broken)
    with (
        Records(tmp_path / "r.sqlite") as records,
        pytest.raises(tune.NothingMeasured, match="could be measured: KeyError"),
    ):
        tune.tune(mobile(1).kernels, target, records, trials=1, workers=workers)


def test_a_network_is_compiled_and_timed_outside(target: Target, workers: Workers, tmp_path: Path) -> None:
    plan = mobile(3)
    weights = measure.random_weights(plan)
    schedules = {name: candidates(kernel, target)[0] for name, kernel in plan.kernels.items()}
    sizes = measure.compile_plan(plan, weights, schedules, target, tmp_path / "a.so", workers.first)
    assert sizes["workspace_bytes"] > 0
    (whole,) = network_rounds.measure_plans([plan], schedules, target, workers)
    assert whole.ms > 0
    assert whole.processor == device.fingerprint()
    calls = measure.time_calls(plan, weights, schedules, target, repeats=20, worker=workers.first)
    assert len(calls) == len(plan.calls)
    assert 0 < sum(calls) < 100 * whole.ms
    untuned = measure.time_untuned(plan, weights, target, worker=workers.first)
    assert len(untuned) == len(plan.calls)
    assert min(untuned) > 0
    with pytest.raises(KeyError, match="no schedule for kernel"):
        measure.compile_plan(plan, weights, {}, target, tmp_path / "b.so", workers.first)


def test_a_profile_predicts_its_networks(target: Target, tmp_path: Path) -> None:
    plans = [mobile(1, layers=layers) for layers in (1, 2, 4)]
    kernels = {name: kernel for plan in plans for name, kernel in plan.kernels.items()}
    with Records(tmp_path / "r.sqlite") as records:
        table = profile(kernels, target, records, sample_plans=plans, trials=2)
        assert table == table_from_records(kernels, target, records)
    assert set(table.entries) == set(kernels)
    assert all(entry.tuned for entry in table.entries.values())
    assert [sample.calls for sample in table.model.samples] == sorted(
        {len(table.joined(plan).calls) for plan in with_cuts(plans)}
    )
    tuned = tune_network(plans[2], table, target, records=tmp_path / "r.sqlite", trials=4)
    assert set(tuned.entries) == set(plans[2].kernels)
    assert tuned.model == table.model
    assert tuned.records.startswith("sha256:")
    assert tuned.records != table.records
    calls = [table.entries[call.kernel.signature] for call in plans[1].calls]
    prediction = table.predict(call.kernel.signature for call in plans[1].calls)
    assert prediction.latency_ms == pytest.approx(
        table.model.constant_ms + sum(map(table.model.call_ms, calls))
    )
    assert prediction.error_ms == pytest.approx(prediction.latency_ms * table.model.error)
    write_table(tmp_path / "table.json", table)
    assert read_table(tmp_path / "table.json") == table
    (tmp_path / "table.json").write_text((tmp_path / "table.json").read_text().replace("0.", "1.", 1))
    with pytest.raises(FileProblem, match="checksum"):
        read_table(tmp_path / "table.json")


def test_the_fit_finds_constant_and_cost_of_a_call() -> None:
    samples = [
        Sample(calls, kernels, kernels + 0.5 + 0.01 * calls, constants)
        for calls, kernels, constants in (
            (5, 3.0, 300_000),
            (20, 4.0, 100_000),
            (30, 5.0, 200_000),
            (40, 9.0, 0),
        )
    ]
    model = fit_samples(samples)
    assert model.constant_ms == pytest.approx(0.5)
    assert model.per_call_ms == pytest.approx(0.01)
    assert model.per_megabyte_ms == pytest.approx(0.0, abs=1e-9)
    few = [fit_samples(samples[:count]) for count in (1, 2)]
    assert [each.constant_ms for each in few] == pytest.approx([0.55, 0.5]), "one has the constant alone"
    assert [each.per_call_ms for each in few] == pytest.approx([0.0, 0.01])
    assert [each.error for each in few] == [UNSEEN_ERROR] * 2
    below = fit_samples([Sample(5, 3.0, 2.7), Sample(9, 2.0, 1.8)])
    assert (below.constant_ms, below.per_call_ms) == (0.0, 0.0)
    assert below.error == UNSEEN_ERROR


def test_the_fit_finds_what_constants_cost() -> None:
    shapes = [(20, 1.0), (24, 0.3), (30, 0.9), (36, 0.4), (40, 1.3)]
    samples = [
        Sample(
            calls, 0.1 + 0.01 * at, 0.1 + 0.01 * at + 0.001 * calls + 0.03 * megabytes, round(1e6 * megabytes)
        )
        for at, (calls, megabytes) in enumerate(shapes)
    ]
    model = fit_samples(samples)
    assert model.constant_ms == pytest.approx(0.0, abs=1e-9)
    assert model.per_call_ms == pytest.approx(0.001)
    assert model.per_megabyte_ms == pytest.approx(0.03)
    assert model.call_ms(Entry(0.5, 1.0, True, "", constant_bytes=200_000)) == pytest.approx(0.507)


def test_samples_span_the_calls_and_the_constants() -> None:
    """Depth and width apart: the network with the most constants is not the one with the most calls."""
    plans = [
        mobile(1, classes=classes, layers=layers)
        for layers, classes in ((3, 7), (1, 900), (5, 7), (2, 300), (4, 9), (1, 7))
    ]
    chosen = spread_out(plans, 4)
    calls = sorted(len(plan.calls) for plan in plans)
    assert {calls[0], calls[-1]} <= {len(plan.calls) for plan in chosen[:2]}
    constants = [fit_latency._constants(plan) for plan in plans]
    assert {min(constants), max(constants)} <= {fit_latency._constants(plan) for plan in chosen}
    assert len(chosen) == len(distinct(chosen)) == 4
    assert len(spread_out(plans, 9)) == len(plans), "all there are"


def test_the_extremes_of_a_space_are_among_its_samples() -> None:
    """A search with a tight cap ends near the fewest calls, which no random network has."""
    flat = flatten(space_of(read(EXAMPLES / "quickstart.space")))
    fewest, most = extreme_plans(flat)
    drawn = [len(plan.calls) for plan in profiler.random_plans(flat, 50, 0)]
    assert len(fewest.calls) < min(drawn) < max(drawn) <= len(most.calls)


def test_noise_and_limits_are_measured(target: Target, workers: Workers) -> None:
    noise = measure.probe_noise(target, workers.first)
    assert noise.spread >= 1
    assert 0 <= noise.steal <= 1
    limits = measure.roofline(target, workers.first)
    assert limits.peak_gflops > 1
    assert limits.memory_gb_s > 0.5
