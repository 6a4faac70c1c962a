"""Time a bundle and its peers on the same network, in the same minutes, and check that they agree.

Every contender is a process of its own, pinned to the same cores, with the same number of threads; they
run in turns (A B A B), so that what the machine does besides falls on all of them. Medians are quoted,
and the ratio to a peer is the median of the ratios within each turn.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compiler.latency import Prediction
from runtime import bundle as bundles
from runtime.bench_contender import DEVICE_LOAD_S, BenchProblem, Contender
from runtime.bench_turns import USUAL_TIMING, Timing, Turns, paired_ratio, take_turns
from runtime.benchmark import Benchmark, KernelRow, PeerResult, latency, relative_error
from runtime.bundle_runner.manifest import BundleProblem, placement
from runtime.console import Progress, Silent
from runtime.devices.tracker import Connection, DeviceProblem, RemoteDevice
from runtime.noise import StealWatch
from runtime.peers import PEERS, USUAL, Peer, absence, peer

Array = npt.NDArray[Any]
BUNDLE = "bundle"
"""The name of the contender that is ours."""
AGREEMENT_IMAGES = 100
AGREEMENT_LIMIT = 1e-3
"""The largest relative difference of a peer's answers from the bundle's for the peer to be timed."""
DEVICE_CHANCES = 3
"""How often a bundle is measured on a remote device before its failure is that of the bundle."""
RANDOM_INPUTS = 8
"""Inputs on which answers are compared where there are no images."""


@dataclass(frozen=True)
class Subject:
    """What is benchmarked; None leaves a part out.

    `onnx` is the same network for the peers of these names, `untuned` the `model.so` that TVM's default pipeline makes
    of it. `images` `[N, C, H, W]`, float32 and preprocessed, and `labels` `[N]` are the test split;
    `reference` gives the trained network's scores for images. `noise` is the probe taken before. `predicted` is
    what the latency table says of the bundle's kernels, `latency_predicted_before_ms` of those before they were tuned
    further.
    """

    bundle: Path
    onnx: Path | None = None
    peers: tuple[str, ...] = USUAL
    untuned: Path | None = None
    images: Array | None = None
    labels: Array | None = None
    reference: Callable[[Array], Array] | None = None
    kernels: tuple[KernelRow, ...] = ()
    predicted: Prediction | None = None
    latency_predicted_before_ms: float | None = None
    stages_s: Mapping[str, float] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    noise: Mapping[str, Any] = field(default_factory=dict)
    peers_left_out: Mapping[str, str] = field(default_factory=dict)


def measure(
    subject: Subject,
    timing: Timing = USUAL_TIMING,
    threads: int | None = None,
    on_cores: Sequence[int] | None = None,
    progress: Progress | None = None,
    device: RemoteDevice | None = None,
) -> Benchmark:
    """Benchmark a bundle, on the threads it was built for and the last of the cores unless others are given.

    Every peer's answers are compared with the bundle's before it is timed. One that is not installed, cannot run
    the network, answers otherwise, crashes or hangs is left out, with the reason.
    On a remote `device` there are no peers; where one fails, another of its key is taken.

    Raises:
        FileProblem: the bundle is damaged; nothing of it was loaded.
        BenchProblem: the bundle cannot run the network, or not on so many threads.
        UnknownPeer: a peer's name that there is not.
        DeviceProblem: no tracker, or no device of that key.
    """
    if device is None:
        return _measure(subject, timing, threads, on_cores, progress or Silent())
    with Connection(device.tracker) as tracker:
        tracker.of_key(device.key)
    reason = f"it would run on this machine, not on the device `{device.key}`"
    alone = replace(subject, peers=(), peers_left_out=dict.fromkeys(subject.peers, reason))
    for chances in reversed(range(DEVICE_CHANCES)):
        try:
            return _measure(alone, timing, threads, None, progress or Silent(), device)
        except BenchProblem as problem:
            if not chances:
                raise
            if progress is not None:
                progress.note(f"{problem}; once more")
    raise AssertionError("the last chance returns or raises")


def _measure(
    subject: Subject,
    timing: Timing,
    threads: int | None,
    on_cores: Sequence[int] | None,
    said: Progress,
    device: RemoteDevice | None = None,
) -> Benchmark:
    manifest = bundles.verify(subject.bundle).manifest
    if device is None:
        threads, placed = place(manifest.target.threads, threads, on_cores)
    else:
        threads, placed = threads or manifest.target.threads, []
    common = {"threads": threads, "cores": placed, "shape": manifest.input.shape}
    mine = {"kind": "bundle", "folder": str(subject.bundle.absolute()), **common}
    if device is not None:
        mine |= _on_device(manifest, device, subject.bundle.absolute() / "model.so")
        patience = f"one that gives no answer is given up after {DEVICE_LOAD_S:g} s"
        said.note(f"taking the bundle to a device of key `{device.key}`; {patience}")
    with ExitStack() as stack, tempfile.TemporaryDirectory() as scratch:
        wanted = [peer(name) for name in subject.peers if subject.onnx]
        bundle = stack.enter_context(Contender(BUNDLE, mine))
        model = {} if subject.onnx is None else {"model": str(subject.onnx.absolute())}
        peers, left_out = start_peers(wanted, {**model, **common}, stack, said)
        outputs, disagreeing = _outputs(subject, bundle, peers, manifest.input.shape, Path(scratch))
        agreeing = [contender for name, contender in peers.items() if name not in disagreeing]
        said.note(f"timing {', '.join([BUNDLE, *[each.name for each in agreeing]])} in turns")
        watch = StealWatch()
        turns = take_turns([bundle, *agreeing], timing, said)
        steal = watch.share if device is None else 0.0
        left_out |= {**disagreeing, **turns.failed, **subject.peers_left_out}
        untuned_ms = _untuned(subject, mine, timing)
        benchmark = _benchmark(subject, manifest, bundle, turns, steal, outputs, untuned_ms)
        results = _peer_results(peers, turns, threads)
    return replace(
        benchmark,
        threads=threads,
        cores=tuple(placed),
        machine={**subject.machine, **bundle.device},
        peers=results,
        left_out=left_out,
        versions=benchmark.versions | {name: result.version for name, result in results.items()},
    )


def _on_device(manifest: bundles.Manifest, device: RemoteDevice, library: Path) -> dict[str, Any]:
    """What a contender loads that runs on a remote device.

    Raises:
        DeviceProblem: the bundle is for a GPU.
    """
    if manifest.gpu:
        raise DeviceProblem(
            "the bundle's kernels run on an NVIDIA GPU, and remote devices are processors alone"
        )
    needed = {"cpu": manifest.target.cpu, "machine": manifest.target.machine}
    features = list(manifest.target.features)
    return {"kind": "device", **device.to_json(), "library": str(library), **needed, "features": features}


def start_peers(
    peers: Iterable[Peer], setup: Mapping[str, Any], stack: ExitStack, progress: Progress
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
                progress.note(f"loading the network into {each.TITLE}")
                contender = Contender(each.NAME, {**setup, "kind": "peer", "peer": each.NAME})
                running[each.NAME] = stack.enter_context(contender)
        except BenchProblem as problem:
            reason = str(problem)
        if reason:
            left_out[each.NAME] = reason
    return running, left_out


def place(built: int, threads: int | None, on_cores: Sequence[int] | None) -> tuple[int, list[int]]:
    """On how many threads a bundle built for `built` is timed, and on which cores.

    Raises:
        BenchProblem: it cannot use so many, or the cores are not there.
    """
    try:
        threads, chosen = placement(built, threads, on_cores)
    except BundleProblem as problem:
        raise BenchProblem(str(problem)) from None
    return threads, list(chosen or cores(threads))


def cores(threads: int) -> list[int]:
    """The cores to pin to: the last of those this process may use, since the first serves interrupts."""
    return sorted(os.sched_getaffinity(0))[-threads:]


def _peer_results(contenders: Mapping[str, Contender], turns: Turns, threads: int) -> dict[str, PeerResult]:
    results = {}
    for name in [name for name in turns.times if name in contenders]:
        contender, each, summary = contenders[name], peer(name), latency(turns.all_of(name))
        results[name] = PeerResult(
            summary.latency_p50_ms, summary.latency_p90_ms, summary.latency_p99_ms,
            paired_ratio(turns.times[name], turns.times[BUNDLE]), contender.load_ms, contender.first_run_ms,
            contender.memory_mb(), each.version(), dict(each.configuration(threads)), summary.latency_p10_ms,
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


def _outputs(
    subject: Subject,
    bundle: Contender,
    peers: Mapping[str, Contender],
    shape: Sequence[int],
    scratch: Path,
) -> tuple[dict[str, Array], dict[str, str]]:
    """Scores by contender, the bundle's for all images and the peers' for the first; which peers are wrong, and why.

    Without images the inputs are random, from a fixed seed.
    """
    images = _random_inputs(shape) if subject.images is None else subject.images
    few = images[:AGREEMENT_IMAGES]
    np.save(scratch / "all.npy", images)
    np.save(scratch / "few.npy", few)
    own = _flat(bundle.predict(scratch / "all.npy", scratch))
    outputs, wrong = {BUNDLE: own}, {}
    for name, contender in peers.items():
        try:
            answers = _flat(contender.predict(scratch / "few.npy", scratch))
            error = relative_error(answers, own[: len(few)])
            if error <= AGREEMENT_LIMIT:
                outputs[name] = answers
            else:
                wrong[name] = (
                    f"its answers differ from the bundle's by {error:.1e}, more than {AGREEMENT_LIMIT:g}"
                )
        except (BenchProblem, ValueError) as problem:
            wrong[name] = str(problem)
        if name in wrong:
            contender.end()
    if subject.images is not None and subject.reference is not None:
        outputs["torch"] = np.asarray(subject.reference(few), np.float32)
    return outputs, wrong


def _random_inputs(shape: Sequence[int]) -> Array:
    return np.random.default_rng(0).standard_normal((RANDOM_INPUTS, *shape[1:]), dtype=np.float32)


def _flat(outputs: Array) -> Array:
    return outputs.reshape(len(outputs), -1)


def agreement(outputs: Mapping[str, Array]) -> dict[str, float]:
    """The largest relative error of each against PyTorch and of the bundle against each, on the images of both."""
    ranked = sorted(outputs, key=["torch", *[each.NAME for each in PEERS], BUNDLE].index)
    errors = {}
    for place, reference in enumerate(ranked):
        others = ranked[place + 1 :]
        for name in others if reference == "torch" else [each for each in others if each == BUNDLE]:
            count = min(len(outputs[name]), len(outputs[reference]))
            errors[f"{name}_{reference}"] = relative_error(outputs[name][:count], outputs[reference][:count])
    return errors


def _benchmark(
    subject: Subject,
    manifest: bundles.Manifest,
    bundle: Contender,
    turns: Turns,
    steal: float,
    outputs: dict[str, Array],
    untuned_ms: float | None,
) -> Benchmark:
    own, predicted, accuracy = latency(turns.all_of(BUNDLE), steal), subject.predicted, None
    if subject.images is not None and subject.labels is not None:
        accuracy = float(np.mean(outputs[BUNDLE].argmax(axis=1) == subject.labels))
    return Benchmark(
        network=manifest.network,
        threads=manifest.target.threads,
        latency_p50_ms=own.latency_p50_ms,
        latency_p90_ms=own.latency_p90_ms,
        latency_p99_ms=own.latency_p99_ms,
        latency_min_ms=own.latency_min_ms,
        latency_p10_ms=own.latency_p10_ms,
        runs=own.runs,
        load_ms=bundle.load_ms,
        first_run_ms=bundle.first_run_ms,
        memory_mb=bundle.memory_mb(),
        accuracy_test=accuracy,
        test_images=0 if subject.images is None else len(subject.images),
        latency_predicted_ms=None if predicted is None else predicted.latency_ms,
        latency_error_ms=None if predicted is None else predicted.error_ms,
        latency_predicted_before_ms=subject.latency_predicted_before_ms,
        prediction_error=None if predicted is None else predicted.latency_ms / own.latency_p50_ms - 1,
        untuned_tvm_latency_p50_ms=untuned_ms,
        kernels=subject.kernels,
        agreement=agreement(outputs),
        agreement_images=min(AGREEMENT_IMAGES, len(outputs[BUNDLE])),
        stages_s=dict(subject.stages_s),
        versions=dict(manifest.versions),
        machine=dict(subject.machine),
        noise={
            **subject.noise,
            "spread_p90_p50": own.latency_p90_ms / own.latency_p50_ms,
            "steal_while_timed": own.steal,
            "noisy": own.noisy,
        },
    )
