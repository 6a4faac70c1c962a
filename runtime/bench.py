"""Time a bundle and its peers on the same network, in the same minutes, and check that they agree.

Every contender is a process of its own, pinned to the same cores, with the same number of threads; they
run in turns (A B A B), so that what the machine does besides falls on all of them. Medians are quoted,
and the ratio to a peer is the median of the ratios within each turn.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime import bundle as bundles
from runtime.bench_contender import BenchProblem, Contender
from runtime.benchmark import Benchmark, KernelRow, Latency, PeerResult, latency, relative_error
from runtime.peers import PEERS, USUAL, Peer, absence, peer

Array = npt.NDArray[Any]
AGREEMENT_IMAGES = 100


@dataclass(frozen=True)
class Timing:
    """How long to time: at least `runs` runs and `seconds` s of each contender, in turns of `turn_s` s.

    Each turn starts with `settle` runs that do not count, since the other contender had the caches.
    """

    warmup: int = 20
    runs: int = 200
    seconds: float = 5.0
    turn_s: float = 0.1
    settle: int = 3


@dataclass(frozen=True)
class Subject:
    """What is benchmarked; None leaves a part out.

    `onnx` is the same network for the peers of these names, `untuned` the `model.so` that TVM's default pipeline makes
    of it. `images` `[N, C, H, W]`, float32 and preprocessed, and `labels` `[N]` are the test split;
    `reference` gives the trained network's scores for images. `noise` is the probe taken before. Predictions are
    the latency table's with the bundle's kernels, and before they were tuned further.
    """

    bundle: Path
    onnx: Path | None = None
    peers: tuple[str, ...] = USUAL
    untuned: Path | None = None
    images: Array | None = None
    labels: Array | None = None
    reference: Callable[[Array], Array] | None = None
    kernels: tuple[KernelRow, ...] = ()
    latency_predicted_ms: float | None = None
    latency_predicted_before_ms: float | None = None
    stages_s: Mapping[str, float] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    noise: Mapping[str, Any] = field(default_factory=dict)


def measure(subject: Subject, timing: Timing = Timing()) -> Benchmark:
    """Benchmark a bundle.

    A peer that is not installed or cannot run the network is left out, with the reason.

    Raises:
        FileProblem: the bundle is damaged; nothing of it was loaded.
        BenchProblem: the bundle cannot run the network.
        UnknownPeer: a peer's name that there is not.
    """
    manifest = bundles.verify(subject.bundle).manifest
    common = {
        "threads": manifest.target.threads, "cores": cores(manifest.target.threads), "shape": manifest.input.shape,
    }  # fmt: skip
    mine = {"kind": "bundle", "folder": str(subject.bundle), **common}
    with ExitStack() as stack, tempfile.TemporaryDirectory() as scratch:
        wanted = [peer(name) for name in subject.peers if subject.onnx]
        contenders = [stack.enter_context(Contender("bundle", mine))]
        peers, left_out = start_peers(wanted, {"model": str(subject.onnx), **common}, stack)
        contenders += peers.values()
        series = take_turns(contenders, timing)
        memory_mb = contenders[0].memory_mb()
        results = _peer_results(peers, series, manifest.target.threads)
        outputs = _outputs(subject, contenders, Path(scratch))
        own = latency([time_ms for turn in series[0] for time_ms in turn])
        untuned_ms = _untuned(subject, mine, timing)
        benchmark = _benchmark(subject, manifest, contenders[0], memory_mb, own, results, outputs, untuned_ms)
        return replace(benchmark, left_out=left_out)


def start_peers(
    peers: Iterable[Peer], setup: Mapping[str, Any], stack: ExitStack
) -> tuple[dict[str, Contender], dict[str, str]]:
    """Start each peer on `setup` (model, threads, cores, shape); the stack ends it.

    Returns:
        Those that run, by name in the order given, and why the others do not.
    """
    running: dict[str, Contender] = {}
    left_out: dict[str, str] = {}
    for each in peers:
        reason = absence(each)
        try:
            if not reason:
                contender = Contender(each.NAME, {**setup, "kind": "peer", "peer": each.NAME})
                running[each.NAME] = stack.enter_context(contender)
        except BenchProblem as problem:
            reason = str(problem)
        if reason:
            left_out[each.NAME] = reason
    return running, left_out


def cores(threads: int) -> list[int]:
    """The cores to pin to: the last of those this process may use, since the first serves interrupts."""
    return sorted(os.sched_getaffinity(0))[-threads:]


def take_turns(contenders: Sequence[Contender], timing: Timing) -> list[list[list[float]]]:
    """Times in milliseconds by contender, turn and run; the contenders take turns until each has enough."""
    turns = [_turn_length(contender, timing) for contender in contenders]
    series: list[list[list[float]]] = [[] for _ in contenders]
    spent = [0.0] * len(contenders)
    while any(
        len(own) * turn < timing.runs or time_s < timing.seconds
        for own, turn, time_s in zip(series, turns, spent, strict=True)
    ):
        for index, contender in enumerate(contenders):
            start = time.monotonic()
            times = contender.run(timing.settle + turns[index])[timing.settle :]
            spent[index] += time.monotonic() - start
            series[index].append(times)
    return series


def _turn_length(contender: Contender, timing: Timing) -> int:
    """The runs of one turn; warms the contender up."""
    typical_s = float(np.median(contender.run(max(timing.warmup, 1)))) / 1e3
    return max(1, round(timing.turn_s / max(typical_s, 1e-6)))


def paired_ratio(numerator: Sequence[Sequence[float]], denominator: Sequence[Sequence[float]]) -> float:
    """The median over the turns of the ratio of the turn's medians."""
    ratios = [np.median(a) / np.median(b) for a, b in zip(numerator, denominator, strict=True)]
    return float(np.median(ratios))


def _peer_results(
    contenders: Mapping[str, Contender], series: list[list[list[float]]], threads: int
) -> dict[str, PeerResult]:
    results = {}
    for (name, contender), own in zip(contenders.items(), series[1:], strict=True):
        summary, each = latency([time_ms for turn in own for time_ms in turn]), peer(name)
        results[name] = PeerResult(
            summary.latency_p50_ms, summary.latency_p90_ms, summary.latency_p99_ms,
            paired_ratio(own, series[0]), contender.load_ms, contender.first_run_ms, contender.memory_mb(),
            each.version(), dict(each.configuration(threads)),
        )  # fmt: skip
    return results


def _untuned(subject: Subject, setup: Mapping[str, Any], timing: Timing) -> float | None:
    """The median of the default pipeline's model: a few runs are enough for a number this far off."""
    if subject.untuned is None:
        return None
    with Contender("untuned", {**setup, "library": str(subject.untuned)}) as contender:
        typical_ms = contender.run(1)[0]
        count = int(min(timing.runs, max(5, timing.seconds * 1e3 / 2 / typical_ms)))
        return latency(contender.run(count)).latency_p50_ms


def _outputs(subject: Subject, contenders: Sequence[Contender], scratch: Path) -> dict[str, Array]:
    """Scores by contender: the bundle's for the whole test split, the others' for its first images."""
    if subject.images is None:
        return {}
    few = subject.images[:AGREEMENT_IMAGES]
    np.save(scratch / "all.npy", subject.images)
    np.save(scratch / "few.npy", few)
    outputs = {}
    for contender in contenders:
        images = scratch / ("all.npy" if contender.name == "bundle" else "few.npy")
        outputs[contender.name] = contender.predict(images, scratch)
    if subject.reference is not None:
        outputs["torch"] = np.asarray(subject.reference(few), np.float32)
    return outputs


def agreement(outputs: Mapping[str, Array]) -> dict[str, float]:
    """The largest relative error of each against PyTorch and of the bundle against each, on the images of both."""
    ranked = sorted(outputs, key=["torch", *[each.NAME for each in PEERS], "bundle"].index)
    errors = {}
    for place, reference in enumerate(ranked):
        others = ranked[place + 1 :]
        for name in others if reference == "torch" else [each for each in others if each == "bundle"]:
            count = min(len(outputs[name]), len(outputs[reference]))
            errors[f"{name}_{reference}"] = relative_error(outputs[name][:count], outputs[reference][:count])
    return errors


def _benchmark(
    subject: Subject,
    manifest: bundles.Manifest,
    contender: Contender,
    memory_mb: float,
    own: Latency,
    peers: dict[str, PeerResult],
    outputs: dict[str, Array],
    untuned_ms: float | None,
) -> Benchmark:
    predicted = subject.latency_predicted_ms
    accuracy = None
    if "bundle" in outputs and subject.labels is not None:
        accuracy = float(np.mean(outputs["bundle"].argmax(axis=1) == subject.labels))
    versions = {**manifest.versions, **{name: result.version for name, result in peers.items()}}
    return Benchmark(
        network=manifest.network,
        threads=manifest.target.threads,
        latency_p50_ms=own.latency_p50_ms,
        latency_p90_ms=own.latency_p90_ms,
        latency_p99_ms=own.latency_p99_ms,
        latency_min_ms=own.latency_min_ms,
        runs=own.runs,
        load_ms=contender.load_ms,
        first_run_ms=contender.first_run_ms,
        memory_mb=memory_mb,
        accuracy_test=accuracy,
        test_images=0 if subject.images is None else len(subject.images),
        latency_predicted_ms=predicted,
        latency_predicted_before_ms=subject.latency_predicted_before_ms,
        prediction_error=None if predicted is None else predicted / own.latency_p50_ms - 1,
        untuned_tvm_latency_p50_ms=untuned_ms,
        kernels=subject.kernels,
        peers=peers,
        agreement=agreement(outputs),
        agreement_images=0 if subject.images is None else min(AGREEMENT_IMAGES, len(subject.images)),
        stages_s=dict(subject.stages_s),
        versions=versions,
        machine=dict(subject.machine),
        noise={
            **subject.noise,
            "spread_p90_p50": own.latency_p90_ms / own.latency_p50_ms,
            "noisy": own.noisy,
        },
    )
