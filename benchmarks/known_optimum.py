"""Whether each strategy finds the best network of a space whose every network was trained by itself.

    python benchmarks/known_optimum.py --format json

The space has 36 networks for scikit-learn's 8x8 digits. Each is trained from new weights with several seeds; its mean
accuracy on the test images is what it is truly worth. Half of the networks hold the cap on MACs. Then each strategy
searches by a supernet, which sees no test image, and what it finds is compared with the best network that holds the
cap. The strategies that judge single networks may judge 12 of the 18 that hold it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from compiler.derive import derive
from compiler.frontend import space_of
from compiler.passes.flatten import flatten
from compiler.path_costs import Picks
from compiler.path_decisions import choices_of
from dsl.settings import CapSetting, Evolution, Gradient, Random, Reinforce, Sgd, Strategy
from dsl.source import Source
from runtime.data.dataset import Dataset
from runtime.data.load import DataSource, load
from runtime.loop import keep_freed_memory
from runtime.optimiser import Schedule
from runtime.search.options import SearchOptions
from runtime.search.problem import Problem, problem_of
from runtime.search.search import search
from runtime.train import TrainOptions, train

TEXT = """
block layer(out, stride) {
    choose {
        pointwise: conv(out, 1, stride) -> bn -> relu
      | separable: depthwise(3, stride) -> bn -> relu -> conv(out, 1) -> bn -> relu
      | wide: conv(out, 3, stride) -> bn -> relu
      | nothing: zero when stride == 1 and in.channels == out
    }
}
space digits {
    input [1, 8, 8]
    output [10]
    conv(8, 1) -> bn -> relu -> layer(12, stride = 2) -> layer(12, stride = 1) -> layer(16, stride = 2)
    -> global_pool -> linear(10)
}
"""
BATCH = 64
TRUTH_EPOCHS = 30
SEARCH_EPOCHS, WARMUP_EPOCHS = 40, 20
CLOSE = 0.02
"""A share of accuracy from the constrained optimum that counts as found."""
STRATEGIES: Mapping[str, Strategy] = {
    "gradient, recompute": Gradient(update="recompute"),
    "gradient, two_path": Gradient(update="two_path"),
    "reinforce": Reinforce(),
    "evolution": Evolution(population=4, generations=3),
    "random": Random(samples=12),
}


def space() -> Problem:
    """The space without caps."""
    return problem_of(flatten(space_of(Source("digits.space", TEXT))), {})


def capped(problem: Problem) -> Problem:
    """The same under a cap on MACs that half of its networks hold."""
    macs = [problem.metrics["macs"].total(picks) for picks in networks(problem)]
    return problem_of(problem.flat, {}, [CapSetting("macs", "<=", median(macs), None)])


def networks(problem: Problem) -> list[Picks]:
    """Every network of the space."""
    return list(product(*map(range, problem.candidates)))


def true_accuracy(problem: Problem, picks: Picks, data: Dataset, seeds: int, epochs: int) -> float:
    """The mean test accuracy of a network over trainings from new weights."""
    network = derive(problem.flat, choices_of(problem.decisions, picks))
    found = []
    for seed in range(seeds):
        with TemporaryDirectory() as folder:
            options = TrainOptions(epochs, BATCH, Sgd(lr=0.05), seed=seed)
            found.append(train(network, data, options, Path(folder)).test.accuracy)
    return fmean(found)


def searched(problem: Problem, data: Dataset, strategy: Strategy, seed: int, epochs: int) -> Picks:
    """The network that a strategy finds."""
    options = SearchOptions(
        strategy,
        epochs=epochs,
        warmup=round(epochs * WARMUP_EPOCHS / SEARCH_EPOCHS),
        batch=BATCH,
        optimiser=Sgd(lr=0.05),
        schedule=Schedule(ramp=0.02),
        seed=seed,
    )
    with TemporaryDirectory() as folder:
        return search(problem, data, options, Path(folder)).picks


def compare(seeds: int, truth_seeds: int, truth_epochs: int, epochs: int) -> dict[str, Any]:
    """The truth, and what each strategy finds with each seed."""
    problem, data = capped(space()), load(DataSource("digits"), seed=0)
    began = time.monotonic()
    truth = {
        each: true_accuracy(problem, each, data, truth_seeds, truth_epochs) for each in networks(problem)
    }
    trained = time.monotonic()
    held = {picks: value for picks, value in truth.items() if not problem.caps.broken(picks)}
    best = max(held, key=held.__getitem__)
    answer: dict[str, Any] = {
        "networks": len(truth),
        "holding_the_cap": len(held),
        "cap": f"{problem.caps.caps[0]}",
        "truth": {"seeds": truth_seeds, "epochs": truth_epochs, "seconds": round(trained - began, 1)},
        "accuracies": {"".join(map(str, picks)): round(value, 4) for picks, value in sorted(truth.items())},
        "constrained_optimum": {"picks": list(best), "accuracy": held[best]},
        "within_close": sum(held[best] - value <= CLOSE for value in held.values()),
        "close": CLOSE,
        "search": {"epochs": epochs, "seeds": seeds},
        "strategies": {},
    }
    for name, strategy in STRATEGIES.items():
        started = time.monotonic()
        found = [searched(problem, data, strategy, seed, epochs) for seed in range(seeds)]
        answer["strategies"][name] = _row(strategy, found, held, held[best])
        answer["strategies"][name]["seconds"] = round(time.monotonic() - started, 1)
    return {**answer, "versions": {"onepath": version("onepath"), "torch": torch.__version__}}


def _row(strategy: Strategy, found: list[Picks], held: Mapping[Picks, float], best: float) -> dict[str, Any]:
    """A network that broke the cap would be none of `held`: a KeyError."""
    return {
        "settings": asdict(strategy),
        "found": sum(best - held[picks] <= CLOSE for picks in found),
        "picks": ["".join(map(str, picks)) for picks in found],
        "regret": [round(best - held[picks], 4) for picks in found],
    }


def main() -> int:
    """Train, search, print; ends with 1 where a strategy missed with some seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="searches of each strategy")
    parser.add_argument("--truth-seeds", type=int, default=3, help="trainings of each network")
    parser.add_argument("--truth-epochs", type=int, default=TRUTH_EPOCHS, help="epochs of each training")
    parser.add_argument(
        "--epochs", type=int, default=SEARCH_EPOCHS, help="epochs of a search, and half as many before"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="the form of the answer")
    given = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(given.threads)
    answer = compare(given.seeds, given.truth_seeds, given.truth_epochs, given.epochs)
    print(json.dumps(answer, indent=2) if given.format == "json" else text(answer))
    return 0 if all(row["found"] == given.seeds for row in answer["strategies"].values()) else 1


def text(answer: Mapping[str, Any]) -> str:
    """A line for the space, and one for each strategy."""
    best = answer["constrained_optimum"]["accuracy"]
    lines = [
        f"{answer['holding_the_cap']} of {answer['networks']} networks hold {answer['cap']}; the best of them has "
        f"{best:.2%}, {answer['within_close']} are within {CLOSE:.0%} of it"
    ]
    for name, row in answer["strategies"].items():
        regrets = ", ".join(f"{regret:.2%}" for regret in row["regret"])
        lines.append(f"{name:20} {row['found']} of {len(row['picks'])}; regret {regrets}; {row['seconds']} s")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
