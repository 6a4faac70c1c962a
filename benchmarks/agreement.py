"""Random networks of a space, built whole: how far the bundles' answers are from those of PyTorch and ONNX Runtime.

    python benchmarks/agreement.py --format json
    python benchmarks/agreement.py --space examples/proxyless_mobile.space --count 10 --trials 8 --format json

Each network has seeded random weights and batch-norm statistics of its own activations; it goes through ONNX and
`onepath build` as a file from elsewhere does. Its bundle, the network in PyTorch (batch norm not folded) and the file
in ONNX Runtime, processes of their own, answer the same random inputs. A relative difference is the largest between
two answers over the largest score. The exit code is 1 where one is over the limit.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from latency_model import drawn

from compiler.codegen.to_onnx import model_bytes, to_onnx
from compiler.derive import derive
from compiler.frontend import space_of
from compiler.ir.graph import Network, SpaceGraph
from compiler.nets.network import build_network
from compiler.passes.flatten import flatten
from compiler.target import Target
from dsl.reading import read
from runtime.benchmark import relative_error
from runtime.checked_bundle import CHECK_LIMIT, WrongAnswers, answers, torch_answers
from runtime.device import fingerprint, host
from runtime.model_build import build_model, reference_of
from runtime.model_build import read as read_model

Array = np.ndarray[Any, Any]
ROOT = Path(__file__).resolve().parents[1]
SPACE = ROOT / "examples/cifar10.space"
BATCH, BATCHES = 8, 40
"""Random images that the batch norms take their statistics from, enough to forget those that they began with."""
INPUTS = 16


@dataclass(frozen=True)
class Differences:
    """How far a bundle's answers are from others', and how far its answers to different inputs are apart."""

    to_torch: float
    to_onnxruntime: float
    spread: float


def weights_of(network: Network, seed: int) -> dict[str, Array]:
    """Weights as for the start of training, after batch norm has seen random images."""
    module = build_network(network, seed=seed).train()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _ in range(BATCHES):
            module(torch.randn(BATCH, *network.graph.inputs[0].type.sizes, generator=generator))
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def differences(network: Network, weights: dict[str, Array], target: Target, trials: int) -> Differences:
    """Build the network's bundle and compare what it answers.

    Raises:
        WrongAnswers: it disagrees with ONNX Runtime.
    """
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.onnx"
        path.write_bytes(model_bytes(to_onnx(network, weights)))
        records = Path(name) / "records.sqlite"
        bundle = build_model(path, target, Path(name) / "out", trials=trials, records=records).bundle
        model = read_model(path)
        reference = reference_of(model, target.threads, INPUTS)
        setup = {"kind": "bundle", "folder": str(bundle.folder)}
        found = answers(setup, model.shape, target.threads, reference.inputs)
    expected = torch_answers(network, weights, reference.inputs)
    spread = float(np.ptp(found, axis=0).max() / np.abs(found).max())
    return Differences(relative_error(found, expected), relative_error(found, reference.outputs), spread)


def compare(space: SpaceGraph, count: int, seed: int, target: Target, trials: int) -> dict[str, Any]:
    """The differences of `count` networks, and the worst of them."""
    found: list[Differences] = []
    refused: list[str] = []
    flat = flatten(space)
    for place, architecture in enumerate(drawn(space, count, seed)):
        network = derive(flat, architecture.choices)
        try:
            found.append(differences(network, weights_of(network, place), target, trials))
        except WrongAnswers as problem:
            refused.append(f"{network.choices}: {problem}")
        print(f"{place + 1} of {count}", file=sys.stderr)
    to_torch, to_onnxruntime, spread = (
        [getattr(each, name) for each in found] for name in ("to_torch", "to_onnxruntime", "spread")
    )
    return {
        "space": space.name,
        "networks": count,
        "threads": target.threads,
        "trials": trials,
        "processor": fingerprint(),
        "limit": CHECK_LIMIT,
        "worst_to_torch": max(to_torch, default=None),
        "worst_to_onnxruntime": max(to_onnxruntime, default=None),
        "least_spread_of_answers": min(spread, default=None),
        "disagreeing": refused,
        "differences": [[each.to_torch, each.to_onnxruntime] for each in found],
    }


def agree(result: Mapping[str, Any]) -> bool:
    """Whether every network was built, and none is over the limit."""
    pairs = result["differences"]
    return len(pairs) == result["networks"] and all(max(pair) <= CHECK_LIMIT for pair in pairs)


def main() -> int:
    """Draw, build, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", type=Path, default=SPACE)
    parser.add_argument("--count", type=int, default=30, help="networks")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--trials", type=int, default=0, help="schedules tried of each kernel; 0: the default ones"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    given = parser.parse_args()
    space = space_of(read(given.space))
    result = compare(space, given.count, given.seed, host(given.threads), given.trials)
    if given.format == "json":
        print(json.dumps(result, indent=2))
    else:
        print("\n".join(f"{name:24} {value}" for name, value in result.items() if name != "differences"))
    return 0 if agree(result) else 1


if __name__ == "__main__":
    sys.exit(main())
