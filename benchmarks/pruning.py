"""Progressive path pruning: step time and memory over a search, and what the network found is worth.

    python benchmarks/pruning.py --format json

The same searches with and without `prune = progressive`, seed by seed: a space of six layers with seven candidates
each, on the digits of scikit-learn, in the recompute form. By tenths of the search: the mean time of a step (5 weight
steps bring 1 architecture step), live bytes of weights, statistics and momenta, and how many paths are left. Each
network found is trained from scratch by the same recipe; accuracies are on the test split.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from compiler.derive import derive
from compiler.frontend import space_of
from compiler.nets.supernet import build_supernet
from compiler.passes.flatten import flatten
from compiler.path_decisions import choices_of
from dsl.settings import Gradient, Progressive, Sgd
from dsl.source import Source
from runtime.data.dataset import Dataset
from runtime.data.load import DataSource, load
from runtime.loop import Place, run_stage
from runtime.search.evaluators.supernet import PathTrainer
from runtime.search.options import SearchOptions, SearchProgress
from runtime.search.problem import Problem, problem_of
from runtime.search.strategies.gradient import GradientSearch
from runtime.train import TrainOptions, train

TENTHS = 10
TEXT = """
block mbconv(out, kernel, expand) {
    conv(in.channels * expand, 1) -> bn -> relu6 -> depthwise(kernel) -> bn -> relu6 -> conv(out, 1) -> bn
}
block layer {
    residual {
        choose {
            mbconv(in.channels, kernel = choose(3, 5, 7), expand = choose(3, 6))
          | skip: zero
        }
    }
}
space pruned {
    input [1, 8, 8]
    output [10]
    conv(16, 3) -> bn -> relu6 -> layer -> layer -> layer
    -> conv(32, 3, stride = 2) -> bn -> relu6 -> layer -> layer -> layer
    -> global_pool -> linear(10)
}
"""


class Course:
    """What a search needs at each step: the moment, and live bytes."""

    def __init__(self) -> None:
        self.trainer: PathTrainer | None = None
        self.moments: list[float] = [time.perf_counter()]
        self.bytes: list[int] = []

    def __call__(self, now: SearchProgress) -> None:
        assert self.trainer is not None
        tensors = [*self.trainer.supernet.state_dict().values(), *self.trainer.optimiser.tensors().values()]
        self.bytes.append(sum(each.numel() * each.element_size() for each in tensors))
        self.moments.append(time.perf_counter())

    def by_tenths(self) -> dict[str, list[float]]:
        """Means over each tenth of the steps."""
        spent = [after - before for before, after in zip(self.moments, self.moments[1:], strict=False)]
        edges = [round(part * len(spent) / TENTHS) for part in range(TENTHS + 1)]
        parts = list(itertools.pairwise(edges))
        return {
            "step_ms": [1e3 * mean(spent[start:end]) for start, end in parts],
            "live_mb": [mean(self.bytes[start:end]) / 1e6 for start, end in parts],
        }


def run(problem: Problem, data: Dataset, options: SearchOptions, folder: Path) -> dict[str, Any]:
    """One search, and the training of the network that it found."""
    course = Course()
    trainer = PathTrainer(build_supernet(problem.flat, options.seed), data, options, course)
    course.trainer = trainer
    assert isinstance(options.strategy, Gradient)
    stage = GradientSearch(problem, trainer, options.strategy)
    run_stage(stage, Place(folder, "search", "", save_every_s=1e9))
    found = stage.result()
    network = derive(problem.flat, choices_of(problem.decisions, found.picks))
    recipe = TrainOptions(epochs=40, batch=64, optimiser=Sgd(lr=0.1), seed=options.seed)
    trained = train(network, data, recipe, folder / "train")
    left = sum(map(len, stage.alphas.alive))
    return {**course.by_tenths(), "paths_left": left, "accuracy_test": trained.test.accuracy}


def compare(seeds: int, epochs: int) -> dict[str, Any]:
    """Both forms for each seed, and the means over the seeds."""
    problem = problem_of(flatten(space_of(Source("pruned.space", TEXT))), {})
    plain = SearchOptions(
        Gradient(every=5),
        epochs=epochs,
        warmup=epochs / 3,
        batch=64,
        optimiser=Sgd(lr=0.1),
        recalibration_batches=4,
    )
    found: dict[str, list[dict[str, Any]]] = {"all_paths_kept": [], "pruned": []}
    for seed in range(seeds):
        data = load(DataSource("digits"), seed=seed)
        for name, prune in (("all_paths_kept", None), ("pruned", Progressive())):
            options = SearchOptions(**{**vars(plain), "prune": prune, "seed": seed})
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(run(problem, data, options, Path(folder)))
            print(f"seed {seed}, {name}: {found[name][-1]['accuracy_test']:.2%}", file=sys.stderr)
    return {"seeds": seeds, **{name: _means(runs) for name, runs in found.items()}}


def _means(runs: list[dict[str, Any]]) -> dict[str, Any]:
    def over(name: str) -> list[float]:
        return [round(mean(values), 4) for values in zip(*[each[name] for each in runs], strict=True)]

    accuracies = [each["accuracy_test"] for each in runs]
    return {
        "step_ms": over("step_ms"),
        "live_mb": over("live_mb"),
        "paths_left": mean(each["paths_left"] for each in runs),
        "accuracy_test": mean(accuracies),
        "accuracies_test": accuracies,
    }


def show(result: Mapping[str, Any]) -> None:
    """A table for people."""
    for name in ("all_paths_kept", "pruned"):
        row = result[name]
        print(f"{name}: test accuracy {row['accuracy_test']:.2%}, {row['paths_left']:.0f} paths left")
        print("  ms a step, by tenths   " + " ".join(f"{value:7.2f}" for value in row["step_ms"]))
        print("  live MB, by tenths     " + " ".join(f"{value:7.3f}" for value in row["live_mb"]))


def main() -> int:
    """Compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--epochs", type=int, default=30, help="of each search, after a third as many of warm-up"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    given = parser.parse_args()
    result = compare(given.seeds, given.epochs)
    if given.format == "json":
        print(json.dumps(result, indent=2))
    else:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
