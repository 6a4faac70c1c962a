"""Workers outlive what they run; tuning keeps what it measured and goes on from there; profiles predict."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler.codegen.schedules import candidates
from compiler.latency import Sample
from compiler.target import Target
from runtime import device, measure, tune
from runtime.files import FileProblem
from runtime.latency_table import read_table, write_table
from runtime.profiler import fit_samples, profile, spread_out, tune_network
from runtime.records import Records, digest, key_of
from runtime.workers import Worker, WorkerFailed, Workers
from tests.compiler.codegen.plans import mobile

pytestmark = pytest.mark.tvm


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
        assert worker.generation == 3
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


def test_a_budget_is_kept(target: Target, workers: Workers, tmp_path: Path) -> None:
    with Records(tmp_path / "r.sqlite") as records:
        begin = time.monotonic()
        result = tune.tune(mobile(1).kernels, target, records, trials=500, budget_s=2, workers=workers)
        assert not result.complete
        assert time.monotonic() - begin < 20
        assert len(records.rows()) == result.measured


def test_a_candidate_that_fails_costs_itself_alone(
    target: Target, workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tune._Run._build

    def broken(run: tune._Run, name: str, signature: str, schedules: list[object]) -> dict[str, object]:
        request = real(run, name, signature, schedules)  # type: ignore[arg-type]
        if name == "1":
            request["kernels"] = [[signature, '{"template": "gone"}']]
        return request

    monkeypatch.setattr(tune._Run, "_build", broken)
    kernels = dict(list(mobile(1).kernels.items())[:2])
    with Records(tmp_path / "r.sqlite") as records:
        result = tune.tune(kernels, target, records, trials=2, workers=workers)
        assert (result.measured, result.failed) == (4, 1)
        failures = [row.status for row in records.rows() if row.status != "ok"]
        assert len(failures) == 1
        assert "no schedule template is called `gone`" in failures[0]


def test_nothing_measured_is_an_error(
    target: Target, workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(run: tune._Run, name: str, signature: str, schedules: object) -> dict[str, object]:
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
    times = measure.time_library(
        tmp_path / "a.so", (1, 3, 16, 16), target, repeats=50, seconds=0.05, worker=workers.first
    )
    assert 0 < times.min_ms <= times.p50_ms <= times.p90_ms <= times.p99_ms
    calls = measure.time_calls(plan, weights, schedules, target, repeats=20, worker=workers.first)
    assert len(calls) == len(plan.calls)
    assert 0 < sum(calls) < 100 * times.p50_ms
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
        best = [records.best(name, key_of(target)) for name in kernels]
        assert table.records == digest([row for row in best if row is not None])
    assert set(table.entries) == set(kernels)
    assert table.tuned
    assert len(table.model.samples) == 3
    tuned = tune_network(plans[2], table, target, records=tmp_path / "r.sqlite", trials=4)
    assert set(tuned.entries) == set(plans[2].kernels)
    assert tuned.model == table.model
    prediction = table.predict(call.kernel.signature for call in plans[1].calls)
    assert prediction.latency_ms > 0
    write_table(tmp_path / "table.json", table)
    assert read_table(tmp_path / "table.json") == table
    (tmp_path / "table.json").write_text((tmp_path / "table.json").read_text().replace("0.", "1.", 1))
    with pytest.raises(FileProblem, match="checksum"):
        read_table(tmp_path / "table.json")


def test_the_fit_finds_constant_and_cost_of_a_call() -> None:
    samples = [
        Sample(calls, kernels, kernels + 0.5 + 0.01 * calls)
        for calls, kernels in ((5, 3.0), (20, 4.0), (40, 9.0))
    ]
    model = fit_samples(samples)
    assert model.constant_ms == pytest.approx(0.5)
    assert model.per_call_ms == pytest.approx(0.01)
    below = fit_samples([Sample(5, 3.0, 2.7), Sample(9, 2.0, 1.8)])
    assert (below.constant_ms, below.per_call_ms) == (0.0, 0.0)
    assert below.error > 0.1


def test_samples_span_the_sizes() -> None:
    plans = [mobile(1, layers=layers) for layers in (3, 1, 5, 2, 4)]
    sizes = [len(plan.calls) for plan in spread_out(plans, 3)]
    assert sizes == sorted(sizes)
    assert sizes[0] == min(len(plan.calls) for plan in plans)
    assert sizes[-1] == max(len(plan.calls) for plan in plans)


def test_noise_and_limits_are_measured(target: Target, workers: Workers) -> None:
    noise = measure.probe_noise(target, workers.first)
    assert noise.spread >= 1
    assert 0 <= noise.steal <= 1
    limits = measure.roofline(target, workers.first)
    assert limits.peak_gflops > 1
    assert limits.memory_gb_s > 0.5
