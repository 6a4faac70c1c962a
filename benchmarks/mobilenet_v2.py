"""MobileNetV2 at 224x224, or another network without decisions, tuned by us and timed beside the peers.

    python benchmarks/mobilenet_v2.py --threads 1 --format json
    python benchmarks/mobilenet_v2.py --threads 2 --space examples/proxyless_mobile_searched.space --format json

fp32, batch 1, seeded random weights, every contender a process of its own on the same cores, in turns. `ratios`
are each peer's latency over ours, the median over the turns; `ratios_untuned` those of the same network with our
default schedules (`onepath build --trials 0`) and with TVM's default pipeline. The records of `benchmarks/records/`
spare the tuning on the processors that they cover; on others the kernels are tuned first, within `--budget` seconds.
`--export FILE` writes the records of this network for others. Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from compiler.architecture import only
from compiler.codegen.from_onnx import from_onnx
from compiler.codegen.schedules import default_schedules
from compiler.codegen.to_onnx import model_bytes, to_onnx
from compiler.derive import derive
from compiler.frontend import space_of
from compiler.latency import LatencyTable
from compiler.nets.network import build_network
from compiler.passes.chains import chain_kernels, chains
from compiler.passes.flatten import flatten
from compiler.passes.fuse import Plan, fuse
from compiler.target import Target
from dsl.reading import read
from runtime.bench import cores
from runtime.bench_contender import BenchProblem, Contender
from runtime.bench_turns import Timing, paired_ratio, take_turns
from runtime.benchmark import latency, relative_error
from runtime.budget import Budget
from runtime.device import fingerprint, host
from runtime.measure import compile_plan, compile_untuned, probe_noise, roofline
from runtime.peers import PEERS
from runtime.profiler import profile
from runtime.records import Record, Records, best_of, fastest, key_of, read_pack, write_pack
from runtime.tune import usable
from runtime.tvm_libraries import link_runtime
from runtime.workers import Worker, Workers

ROOT = Path(__file__).resolve().parents[1]
PACKS = ROOT / "benchmarks/records"
SPACE = ROOT / "examples/mobilenet_v2.space"
TRIALS = 40
UNTUNED = ("onepath-default", "tvm-default")
"""The same network with our default schedules, and through TVM's default pipeline."""
FEWEST_RUNS = 30
KEPT = 3
"""Schedules of each kernel that a pack for others keeps."""


@dataclass(frozen=True)
class Network:
    """A network with seeded weights: as ONNX for the peers, as kernels for us."""

    name: str
    model: bytes
    plan: Plan
    weights: Mapping[str, np.ndarray[Any, Any]]


def network_of(path: Path) -> Network:
    """The only network of a space, initialised as for training, with plausible statistics of its batch norms."""
    space = space_of(read(path))
    network = derive(flatten(space), only(space).choices)
    module = build_network(network, seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    state = {name: _varied(name, tensor, generator) for name, tensor in module.state_dict().items()}
    model = to_onnx(network, {name: tensor.numpy() for name, tensor in state.items()})
    built, weights = from_onnx(model)
    return Network(space.name, model_bytes(model), fuse(built), weights)


def _varied(name: str, tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    if name.endswith("running_mean"):
        return torch.randn(tensor.shape, generator=generator) * 0.1
    if name.endswith("running_var"):
        return torch.rand(tensor.shape, generator=generator) + 0.5
    return tensor


def tuned(network: Network, target: Target, records: Records, budget_s: float) -> LatencyTable:
    """The latency table of the network's kernels; they are tuned where the records do not cover them."""
    kernels = chain_kernels(network.plan, target)
    for pack in sorted(PACKS.glob("*.jsonl")):
        records.take(read_pack(pack.read_text(encoding="utf-8"), pack.name))
    covered = set(best_of(usable(records, kernels, key_of(target)))) == set(kernels)
    return profile(
        kernels,
        target,
        records,
        sample_plans=[network.plan],
        budget=None if covered else Budget(budget_s),
        trials=0 if covered else TRIALS,
        weights=Counter(call.kernel.signature for call in network.plan.calls),
    )


def compare(
    network: Network, table: LatencyTable, target: Target, peers: Sequence[str], seconds: float
) -> dict[str, Any]:
    """Time the network as a bundle holds it beside the peers."""
    plan = table.joined(network.plan)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        link_runtime(folder)
        (folder / "model.onnx").write_bytes(network.model)
        with Workers(target.threads, 1) as workers:
            noise, limits = probe_noise(target, workers.first), roofline(target, workers.first)
            compile_plan(plan, network.weights, table.schedules, target, folder / "onepath.so", workers.first)
            _compile_untuned(network, target, folder, workers.first)
        shape = (1, *network.plan.types[network.plan.inputs[0]])
        common = {"threads": target.threads, "cores": cores(target.threads), "shape": shape}
        contenders = [
            stack.enter_context(
                Contender(
                    own, {"kind": "library", "folder": name, "library": str(folder / f"{own}.so"), **common}
                )
            )
            for own in ("onepath", *UNTUNED)
        ]
        failed: dict[str, str] = {}
        for peer in [peer for peer in PEERS if peer.NAME in peers and peer.available()]:
            setup = {"kind": "peer", "peer": peer.NAME, "model": str(folder / "model.onnx"), **common}
            try:
                contenders.append(stack.enter_context(Contender(peer.NAME, setup)))
            except BenchProblem as problem:
                failed[peer.NAME] = str(problem)
        errors = _errors(contenders, folder, shape)
        turns = take_turns(contenders, Timing(seconds=seconds, runs=FEWEST_RUNS))
    macs = sum(call.kernel.arithmetic_macs for call in plan.calls)
    ours = latency(turns.all_of("onepath"))
    ratios = {
        name: paired_ratio(own, turns.times["onepath"])
        for name, own in turns.times.items()
        if name != "onepath"
    }
    return {
        "network": network.name,
        "threads": target.threads,
        "processor": fingerprint(),
        "latency_p50_ms": {name: latency(turns.all_of(name)).latency_p50_ms for name in turns.times},
        "ratios": {name: ratio for name, ratio in ratios.items() if name not in UNTUNED},
        "ratios_untuned": {name: ratio for name, ratio in ratios.items() if name in UNTUNED},
        "p90_p50": ours.latency_p90_ms / ours.latency_p50_ms,
        "latency_at_peak_ms": 2 * macs / limits.peak_gflops / 1e6,
        "latency_predicted_ms": table.predict_plan(network.plan).latency_ms,
        "relative_error": errors,
        "failed": {**failed, **turns.failed},
        "calls": len(plan.calls),
        "chains": [call.kernel.signature for call in plan.calls if call not in network.plan.calls],
        "chains_us": chain_prices(network, table, target, limits.peak_gflops),
        "roofline": asdict(limits),
        "noise": asdict(noise),
        "versions": {peer.NAME: peer.version() for peer in PEERS if peer.NAME in peers and peer.available()},
    }


def chain_prices(
    network: Network, table: LatencyTable, target: Target, peak_gflops: float
) -> list[dict[str, Any]]:
    """What each chain of neighbouring kernels costs apart and joined, by the table, and its arithmetic at the peak."""
    rows: dict[str, dict[str, Any]] = {}
    for segment, call in chains(network.plan, target).items():
        parts = [network.plan.calls[place].kernel.signature for place in segment]
        rows[call.kernel.signature] = {
            "chain": call.kernel.signature,
            "kernels": len(parts),
            "apart": 1e3 * sum(map(table.call_ms, parts)),
            "joined": 1e3 * table.call_ms(call.kernel.signature),
            "at_peak": 2 * call.kernel.arithmetic_macs / peak_gflops / 1e3,
        }
    return list(rows.values())


def _compile_untuned(network: Network, target: Target, folder: Path, worker: Worker) -> None:
    """Compile the network with our default schedules, and as TVM does where nobody tells it how."""
    ours, theirs = (folder / f"{name}.so" for name in UNTUNED)
    defaults = default_schedules(network.plan.kernels, target)
    compile_plan(network.plan, network.weights, defaults, target, ours, worker)
    compile_untuned(network.plan, network.weights, target, theirs, worker)


def _errors(contenders: Sequence[Contender], folder: Path, shape: Sequence[int]) -> dict[str, float]:
    """The largest relative difference of each peer's scores from ours, on four random inputs."""
    images = folder / "images.npy"
    np.save(images, np.random.default_rng(0).normal(size=(4, *shape[1:])).astype(np.float32))
    ours, *others = [contender.predict(images, folder) for contender in contenders]
    names = [contender.name for contender in contenders[1:]]
    return {name: relative_error(ours, other) for name, other in zip(names, others, strict=True)}


def main() -> int:
    """Tune, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", type=Path, default=SPACE, help="a space without decisions")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--budget", type=float, default=600.0, help="seconds of tuning, where no records cover"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds of timing for each contender")
    parser.add_argument("--peers", nargs="*", default=[peer.NAME for peer in PEERS])
    parser.add_argument(
        "--records", type=Path, help="a database to use and fill; default one for this run alone"
    )
    parser.add_argument("--export", type=Path, help="write the best records as a pack")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    given = parser.parse_args()
    target, network = host(given.threads), network_of(given.space)
    with tempfile.TemporaryDirectory() as scratch:
        with Records(given.records or Path(scratch) / "records.sqlite") as records:
            began = time.monotonic()
            table = tuned(network, target, records, given.budget)
            seconds = time.monotonic() - began
            if given.export:
                given.export.write_text(write_pack(_few(records, network, target)), encoding="utf-8")
        result = compare(network, table, target, given.peers, given.seconds)
    result["tuning_and_pricing_s"] = round(seconds, 1)
    print(json.dumps(result, indent=2) if given.format == "json" else _text(result))
    return 0


def _few(records: Records, network: Network, target: Target) -> list[Record]:
    """The fastest records of each kernel."""
    return fastest(usable(records, chain_kernels(network.plan, target), key_of(target)), KEPT)


def _text(result: Mapping[str, Any]) -> str:
    ratios = {"onepath": 1.0, **result["ratios"], **result["ratios_untuned"]}
    lines = [f"{result['network']}, {result['threads']} thread(s), {result['processor']}"]
    for name, milliseconds in sorted(result["latency_p50_ms"].items(), key=lambda item: item[1]):
        lines.append(f"{milliseconds:9.3f} ms  {ratios[name]:5.2f}  {name}")
    lines.append(f"{result['latency_at_peak_ms']:9.3f} ms         all arithmetic at the measured peak")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
