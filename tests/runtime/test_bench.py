"""A benchmark times contenders in turns, checks that they agree, and reads back equal."""

from __future__ import annotations

import dataclasses
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model

from compiler.codegen.to_onnx import model_bytes, to_onnx
from compiler.latency import Prediction
from runtime import bench
from runtime.bench import Subject, agreement, measure
from runtime.bench_contender import BenchProblem, Contender
from runtime.bench_text import benchmark_lines
from runtime.bench_turns import Timing, paired_ratio, take_turns
from runtime.benchmark import (
    Benchmark,
    PeerResult,
    kernel_row,
    latency,
    read_benchmark,
    relative_error,
    with_stages,
    write_benchmark,
)
from runtime.bundle_measured import write_measured
from runtime.files import FileProblem

QUICK = Timing(warmup=3, runs=20, seconds=0.05, turn_s=0.005)
KERNEL = "f32 nhwc (2x8x8) global_pool(%0); relu(%1)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bench")
    tiny_model.bundle(made / "bundle", made)
    model = to_onnx(tiny_model.network(), {"head.weight": tiny_model.WEIGHT})
    (made / "model.onnx").write_bytes(model_bytes(model))
    return made


@pytest.mark.tvm
def test_a_bundle_is_measured_beside_its_peers(folder: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(1).normal(size=(120, 2, 8, 8)).astype(np.float32)
    labels = tiny_model.expected(images).argmax(axis=1)
    labels[:12] = (labels[:12] + 1) % 3
    subject = Subject(
        folder / "bundle",
        onnx=folder / "model.onnx",
        untuned=folder / "model.so",
        images=images,
        labels=labels,
        reference=tiny_model.expected,
        kernels=(kernel_row(KERNEL, 2, 0.001, 100.0),),
        predicted=Prediction(0.01, 0.002),
        machine={"cpu": "x"},
        noise={"load": 0.5},
    )
    result = measure(subject, QUICK)
    assert result.accuracy_test == pytest.approx(0.9)
    assert (
        0 < result.latency_min_ms <= result.latency_p50_ms <= result.latency_p90_ms <= result.latency_p99_ms
    )
    assert result.runs >= QUICK.runs
    assert (result.latency_predicted_ms, result.latency_error_ms) == (0.01, 0.002)
    assert result.prediction_error == pytest.approx(0.01 / result.latency_p50_ms - 1)
    assert result.untuned_tvm_latency_p50_ms is not None
    assert set(result.agreement) == {"onnxruntime_torch", "bundle_torch", "bundle_onnxruntime"}
    assert max(result.agreement.values()) < 1e-4
    assert result.agreement_images == 100
    assert result.peers["onnxruntime"].configuration["threads"] == 1
    assert {"apache-tvm", "onnxruntime", "onepath"} <= result.versions.keys()
    assert 5 < result.memory_mb < 120, "its own memory, not that of the process which started it"
    assert result.noise.keys() == {"load", "spread_p90_p50", "steal_while_timed", "noisy"}
    staged = with_stages(result, {"bench": 1.5})
    assert read_benchmark(write_benchmark(tmp_path / "bench.json", staged)) == staged


@pytest.mark.tvm
def test_the_bundle_alone_is_enough(folder: Path) -> None:
    result = measure(Subject(folder / "bundle"), QUICK)
    assert (result.peers, result.agreement, result.accuracy_test) == ({}, {}, None)


@pytest.mark.tvm
def test_a_contender_that_cannot_run_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"\xff")
    result = measure(Subject(folder / "bundle", onnx=tmp_path / "bad.onnx"), QUICK)
    assert result.peers == {}
    assert result.left_out["onnxruntime"].startswith("onnxruntime: InvalidProtobuf: ")
    with pytest.raises(BenchProblem, match="untuned: "):
        measure(Subject(folder / "bundle", untuned=tmp_path / "bad.onnx"), QUICK)
    with pytest.raises(FileProblem, match="does not exist"):
        measure(Subject(tmp_path / "nowhere"), QUICK)


@pytest.mark.tvm
def test_a_peer_with_other_answers_is_not_timed(folder: Path, tmp_path: Path) -> None:
    other = to_onnx(tiny_model.network(), {"head.weight": tiny_model.WEIGHT * np.float32(1.002)})
    (tmp_path / "other.onnx").write_bytes(model_bytes(other))
    result = measure(Subject(folder / "bundle", onnx=tmp_path / "other.onnx"), QUICK)
    assert result.peers == {}
    assert (
        result.left_out["onnxruntime"] == "its answers differ from the bundle's by 2.0e-03, more than 0.001"
    )


@pytest.mark.tvm
def test_threads_and_cores_are_given_or_the_bundles_own(folder: Path) -> None:
    core = bench.cores(1)[0]
    result = measure(Subject(folder / "bundle"), QUICK, threads=1, on_cores=[core])
    assert (result.threads, result.cores) == (1, (core,))
    with pytest.raises(BenchProblem, match="built for 1 thread, and 2 are asked for"):
        measure(Subject(folder / "bundle"), QUICK, threads=2)
    with pytest.raises(BenchProblem, match="core 4000 is not among those this process may use"):
        measure(Subject(folder / "bundle"), QUICK, on_cores=[4000])


class Stub:
    """A contender whose runs take a fixed time, until it fails in its `last` turn."""

    def __init__(self, name: str, time_ms: float, last: int = 1000) -> None:
        self.name, self.time_ms, self.last, self.turns, self.ended = name, time_ms, last, 0, False

    def run(self, count: int) -> list[float]:
        self.turns += 1
        if self.turns >= self.last:
            raise BenchProblem(f"{self.name} ended with code -11: it said nothing")
        return [self.time_ms] * count

    def end(self) -> None:
        self.ended = True


TURNS = Timing(warmup=2, runs=12, seconds=0, turn_s=0.08)


def test_turns_go_on_until_each_has_enough() -> None:
    contenders: list[Any] = [Stub("fast", 10.0), Stub("slow", 40.0)]
    turns = take_turns(contenders, TURNS)
    fast, slow = turns.times["fast"], turns.times["slow"]
    assert [len(turn) for turn in fast] == [8] * 6
    assert [len(turn) for turn in slow] == [2] * 6
    assert paired_ratio(slow, fast) == 4
    assert turns.all_of("slow") == [40.0] * 12
    assert latency([1.0] * 8 + [2.0] * 2).noisy
    assert not latency([1.0] * 10).noisy


@pytest.mark.parametrize("last", [1, 3])
def test_a_contender_that_crashes_costs_itself_alone(last: int) -> None:
    contenders: list[Any] = [Stub("bundle", 10.0), Stub("weak", 20.0, last), Stub("other", 40.0)]
    turns = take_turns(contenders, TURNS)
    assert turns.failed == {"weak": "weak ended with code -11: it said nothing"}
    assert contenders[1].ended
    assert {name: len(own) for name, own in turns.times.items()} == {"bundle": 6, "other": 6}
    with pytest.raises(BenchProblem, match="weak ended"):
        take_turns(contenders[1:], TURNS)


@pytest.mark.tvm
def test_a_contender_that_hangs_is_ended(folder: Path) -> None:
    setup = {**PEER, "model": str(folder / "model.onnx"), "cores": bench.cores(1)}
    with Contender("onnxruntime", setup) as contender:
        with pytest.raises(BenchProblem, match=r"onnxruntime gave no answer within 0\.1 s"):
            contender.ask({"do": "run", "count": 10**9}, 0.1)
        with pytest.raises(BenchProblem, match="onnxruntime ended with code -9"):
            contender.run(1)


def test_the_table_has_the_fastest_first_and_says_who_is_missing() -> None:
    peer = PeerResult(2.0, 2.2, 2.4, 0.5, 1.0, 2.0, 300.0, "1.31.1", {}, 1.9)
    result = Benchmark(
        "tiny", 1, 4.0, 4.4, 4.8, 3.9, 200, 1.5, 3.0, 60.0, latency_p10_ms=3.95, cores=(1,),
        peers={"onnxruntime": peer}, agreement={"bundle_onnxruntime": 2e-7}, versions={"onepath": "0.1.0"},
        left_out={"ncnn": "not installed: pip install ncnn", "iree": "iree ended with code 1: no"},
    )  # fmt: skip
    head, names, first, second, _, *missing = benchmark_lines(result)
    assert head == "tiny: 1 thread, pinned to 1; 200 runs of the bundle"
    assert names.split()[:4] == ["version", "median", "ms", "p10"]
    assert first.split() == [
        "onnxruntime",
        "1.31.1",
        "2.000",
        "1.900",
        "2.200",
        "0.50",
        "2e-07",
        "1.00",
        "2.00",
        "300",
    ]
    assert second.split() == ["bundle", "0.1.0", "4.000", "3.950", "4.400", "1.00", "1.50", "3.00", "60"]
    assert missing == [
        "left out: ncnn: not installed: pip install ncnn",
        "left out: iree ended with code 1: no",
    ]


def test_a_disturbed_measurement_is_marked(tmp_path: Path) -> None:
    quiet, spread, stolen = latency([1.0] * 9), latency([1.0] * 8 + [9.0] * 2), latency([1.0] * 9, 0.06)
    assert [each.noisy for each in (quiet, spread, stolen)] == [False, True, True]
    kept = [write_measured(tmp_path, "d", 1, each).read_text() for each in (quiet, spread, stolen)]
    assert ['"noisy": true' in text for text in kept] == [False, True, True]
    noisy = Benchmark("tiny", 1, 4.0, 4.4, 4.8, 3.9, 1, 1.5, 3.0, 60.0, cores=(1,), noise={"noisy": True})
    assert '"noisy": true' in write_measured(tmp_path, "d", 1, noisy).read_text()
    assert next(benchmark_lines(noisy)) == (
        "tiny: 1 thread, pinned to 1; 1 run of the bundle; the machine was disturbed while it was timed: repeat it "
        "before quoting its times"
    )


def test_errors_are_relative_to_the_largest_score() -> None:
    reference = np.array([[1.0, -4.0], [0.0, 2.0]])
    assert relative_error(reference + np.array([[0.0, 0.4], [0.1, 0.0]]), reference) == pytest.approx(0.1)
    pair = {"bundle": reference * 1.5, "torch": reference[:1]}
    assert agreement(pair) == {"bundle_torch": pytest.approx(0.5)}


def test_a_row_counts_operations_and_bytes() -> None:
    row = kernel_row(
        "f32 nhwc (8x4x4) conv(%0, out=16, kernel=1, stride=1, padding=0, dilation=1, groups=1, bias=true)",
        calls=3, time_ms=0.001, peak_gflops=10.0,
    )  # fmt: skip
    assert row.gflops == pytest.approx(2 * 16 * 8 * 16 / 1e-6 / 1e9)
    assert row.share_of_peak == pytest.approx(row.gflops / 10)
    assert row.total_ms == pytest.approx(0.003)
    assert dataclasses.replace(row, calls=1).total_ms == pytest.approx(0.001)


PEER = {"kind": "peer", "peer": "onnxruntime", "threads": 1, "shape": [1, 2, 8, 8]}


@pytest.mark.tvm
def test_a_contender_that_is_not_asked_stands_still(folder: Path) -> None:
    setup = {**PEER, "model": str(folder / "model.onnx"), "cores": bench.cores(1)}
    with Contender("onnxruntime", setup) as contender:
        process = contender._process
        watchdog = threading.Timer(10, process.kill)
        watchdog.start()
        for _ in range(2):
            state = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED)
            assert state is not None
            assert state.si_code == os.CLD_STOPPED
            assert len(contender.run(3)) == 3
        watchdog.cancel()


def test_cores_are_the_last_allowed() -> None:
    assert len(bench.cores(1)) == 1


def test_a_worker_that_dies_is_reported() -> None:
    with pytest.raises(BenchProblem, match="ghost: no peer is called `none`"):
        Contender("ghost", {"kind": "peer", "peer": "none", "threads": 1, "cores": [0], "shape": [1]})
