"""A benchmark times contenders in turns, checks that they agree, and reads back equal."""

from __future__ import annotations

import dataclasses
import json
import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model

from compiler.codegen.to_onnx import model_bytes, to_onnx
from runtime import bench
from runtime.bench import Subject, Timing, agreement, measure, paired_ratio
from runtime.bench_contender import BenchProblem, Contender
from runtime.benchmark import (
    kernel_row,
    latency,
    read_benchmark,
    relative_error,
    with_stages,
    write_benchmark,
)
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
        latency_predicted_ms=0.01,
        machine={"cpu": "x"},
        noise={"load": 0.5},
    )
    result = measure(subject, QUICK)
    assert result.accuracy_test == pytest.approx(0.9)
    assert (
        0 < result.latency_min_ms <= result.latency_p50_ms <= result.latency_p90_ms <= result.latency_p99_ms
    )
    assert result.runs >= QUICK.runs
    assert result.prediction_error == pytest.approx(0.01 / result.latency_p50_ms - 1)
    assert result.untuned_tvm_latency_p50_ms is not None
    assert set(result.agreement) == {"onnxruntime_torch", "bundle_torch", "bundle_onnxruntime"}
    assert max(result.agreement.values()) < 1e-4
    assert result.agreement_images == 100
    assert result.peers["onnxruntime"].configuration["threads"] == 1
    assert {"apache-tvm", "onnxruntime", "onepath"} <= result.versions.keys()
    assert 5 < result.memory_mb < 120, "its own memory, not that of the process which started it"
    assert result.noise.keys() == {"load", "spread_p90_p50", "noisy"}
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


class Stub:
    """A contender whose runs take a fixed time."""

    def __init__(self, time_ms: float) -> None:
        self.time_ms, self.turns = time_ms, 0

    def run(self, count: int) -> list[float]:
        self.turns += 1
        return [self.time_ms] * count


def test_turns_go_on_until_each_has_enough() -> None:
    contenders: list[Any] = [Stub(10.0), Stub(40.0)]
    fast, slow = bench.take_turns(contenders, Timing(warmup=2, runs=12, seconds=0, turn_s=0.08))
    assert [len(turn) for turn in fast] == [8] * 6
    assert [len(turn) for turn in slow] == [2] * 6
    assert paired_ratio(slow, fast) == 4
    assert latency([1.0] * 8 + [2.0] * 2).noisy
    assert not latency([1.0] * 10).noisy


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


START = """
import json, sys
from runtime.bench_contender import Contender
contender = Contender("onnxruntime", json.loads(sys.argv[1]))
print(contender._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.tvm
@pytest.mark.skipif(sys.platform != "linux", reason="Linux ends a process with its parent")
def test_contenders_end_with_a_benchmark_that_is_killed(folder: Path) -> None:
    setup = {**PEER, "model": str(folder / "model.onnx"), "cores": bench.cores(1)}
    command = [sys.executable, "-c", START, json.dumps(setup)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        handle = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    assert select.select([handle], [], [], 10)[0], "it has ended"
    os.close(handle)


def test_cores_are_the_last_allowed() -> None:
    assert len(bench.cores(1)) == 1


def test_a_worker_that_dies_is_reported() -> None:
    with pytest.raises(BenchProblem, match="ghost: UnknownPeer: no peer is called `none`"):
        Contender("ghost", {"kind": "peer", "peer": "none", "threads": 1, "cores": [0], "shape": [1]})
