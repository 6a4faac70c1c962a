"""Progressive path pruning: step time and memory over a search, and what the network found is worth.

    python benchmarks/pruning.py --format json

The same searches with and without `prune = progressive`, seed by seed: a space of six layers with seven candidates
each, on some images of CIFAR-10, under a cap on MACs, in the recompute form. By tenths of the search: the mean
processor time of a step on one thread (5 weight steps bring 1 architecture step), live bytes of weights, statistics and
momenta, and how many paths are left. Each network found, and a random one under the same cap for each seed, is trained
from new weights by one recipe; accuracies are of all test images.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from compiler.derive import derive
from compiler.frontend import space_of
from compiler.nets.streams import stream
from compiler.nets.supernet import build_supernet
from compiler.passes.flatten import flatten
from compiler.path_costs import PathCosts, Picks
from compiler.path_decisions import choices_of
from dsl.settings import CapSetting, Gradient, Progressive, Sgd
from dsl.source import Source
from runtime.data.dataset import DataProblem, Dataset, Split
from runtime.data.load import DataSource, load
from runtime.loop import Place, keep_freed_memory, run_stage
from runtime.search.evaluators.supernet import PathTrainer
from runtime.search.options import SearchOptions, SearchProgress
from runtime.search.problem import Problem, problem_of
from runtime.search.strategies.gradient import GradientSearch
from runtime.train import TrainOptions, train

DATA = Path(__file__).resolve().parents[2] / "shared/data/cifar10"
TENTHS = 10
BATCH, TRAIN_EPOCHS = 64, 12
CAP_SHARE = 0.4
"""The cap on MACs lies so far from the least to the greatest network."""
FORMS = {"all_paths_kept": None, "pruned": Progressive()}
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
    input [3, 32, 32]
    output [10]
    conv(12, 3, stride = 2) -> bn -> relu6 -> layer -> layer -> layer
    -> conv(24, 3, stride = 2) -> bn -> relu6 -> layer -> layer -> layer
    -> global_pool -> linear(10)
}
"""


def capped_space() -> Problem:
    """The space under its cap."""
    flat = flatten(space_of(Source("pruned.space", TEXT)))
    macs = problem_of(flat, {}).metrics["macs"]
    assert isinstance(macs, PathCosts)
    least = macs.total(macs.least)
    greatest = macs.fixed + sum(max(row) for row in macs.rows)
    limit = round(least + CAP_SHARE * (greatest - least))
    return problem_of(flat, {}, [CapSetting("macs", "<=", limit, None)])


def some_images(data: Path, images: int, seed: int) -> Dataset:
    """Training and validation splits of `images` in all, the test split as it is."""
    dataset = load(DataSource("cifar10", data), seed=seed)
    share = images / (len(dataset.train) + len(dataset.validation))

    def some(split: Split) -> Split:
        return Split(split.pool, split.indices[: round(share * len(split))])

    return replace(dataset, train=some(dataset.train), validation=some(dataset.validation))


class Course:
    """What a search needs at each step: processor time, live bytes, and the paths that are left."""

    def __init__(self) -> None:
        self.stage: GradientSearch | None = None
        self.moments: list[float] = [time.process_time()]
        self.bytes: list[int] = []
        self.paths: list[int] = []

    def __call__(self, now: SearchProgress) -> None:
        assert self.stage is not None
        trainer = self.stage.trainer
        tensors = [*trainer.supernet.state_dict().values(), *trainer.optimiser.tensors().values()]
        self.bytes.append(sum(each.numel() * each.element_size() for each in tensors))
        self.paths.append(sum(map(len, self.stage.alphas.alive)))
        self.moments.append(time.process_time())

    def by_tenths(self) -> dict[str, list[float]]:
        """Means over each tenth of the steps."""
        spent = [after - before for before, after in itertools.pairwise(self.moments)]
        edges = [round(part * len(spent) / TENTHS) for part in range(TENTHS + 1)]
        parts = list(itertools.pairwise(edges))
        return {
            "step_ms": [1e3 * mean(spent[start:end]) for start, end in parts],
            "live_mb": [mean(self.bytes[start:end]) / 1e6 for start, end in parts],
            "paths_left": [mean(self.paths[start:end]) for start, end in parts],
        }


def searched(problem: Problem, data: Dataset, options: SearchOptions) -> tuple[Picks, dict[str, Any]]:
    """The network that one search finds, and its course."""
    course = Course()
    trainer = PathTrainer(build_supernet(problem.flat, options.seed), data, options, course)
    assert isinstance(options.strategy, Gradient)
    course.stage = stage = GradientSearch(problem, trainer, options.strategy)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run_stage(stage, Place(Path(folder), "search", "", save_every_s=1e9))
    found = stage.result()
    seconds = time.process_time() - began
    return found.picks, {**course.by_tenths(), "paths_at_end": course.paths[-1], "search_cpu_s": seconds}


def random_network(problem: Problem, seed: int) -> Picks:
    """A uniform draw among the networks under the cap."""
    return problem.region.fresh(stream(seed, "random network"))


def accuracy(problem: Problem, data: Dataset, picks: Picks, seed: int) -> float:
    """Of the test images, by a network that was trained from new weights."""
    network = derive(problem.flat, choices_of(problem.decisions, picks))
    recipe = TrainOptions(epochs=TRAIN_EPOCHS, batch=BATCH, optimiser=Sgd(lr=0.1), seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        return train(network, data, recipe, Path(folder)).test.accuracy


def compare(path: Path, images: int, seeds: int, epochs: int) -> dict[str, Any]:
    """Both forms and a random network for each seed."""
    problem = capped_space()
    plain = SearchOptions(
        Gradient(every=5), epochs=epochs, warmup=epochs / 3, batch=BATCH, optimiser=Sgd(lr=0.1)
    )
    found: dict[str, list[dict[str, Any]]] = {"random": [], **{name: [] for name in FORMS}}
    for seed in range(seeds):
        data = some_images(path, images, seed)
        for name, runs in found.items():
            picks, course = random_network(problem, seed), dict[str, Any]()
            if name in FORMS:
                options = replace(plain, prune=FORMS[name], seed=seed)
                picks, course = searched(problem, data, options)
            row = {
                "picks": "".join(map(str, picks)),
                "macs": problem.metrics["macs"].total(picks),
                "accuracy_test": accuracy(problem, data, picks, seed),
            }
            runs.append({**row, **course})
            print(f"seed {seed}, {name}: {row['picks']} {row['accuracy_test']:.2%}", file=sys.stderr)
    return {
        "images": images,
        "cap": f"{problem.caps.caps[0]}",
        "search": {"epochs": epochs, "warmup": plain.warmup, "seeds": seeds},
        "train_epochs": TRAIN_EPOCHS,
        **{name: _means(runs) for name, runs in found.items()},
        "versions": {"onepath": version("onepath"), "torch": torch.__version__},
    }


def _means(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Each run's network, and what is a number or numbers by tenths, as means over the runs."""
    courses: dict[str, Any] = {
        name: [round(mean(values), 4) for values in zip(*[each[name] for each in runs], strict=True)]
        for name in ("step_ms", "live_mb", "paths_left")
        if name in runs[0]
    }
    numbers = ("accuracy_test", "macs", "paths_at_end", "search_cpu_s")
    return {
        **{name: round(mean(each[name] for each in runs), 4) for name in numbers if name in runs[0]},
        **courses,
        "networks": [{name: each[name] for name in ("picks", "macs", "accuracy_test")} for each in runs],
    }


def text(result: Mapping[str, Any]) -> str:
    """A table for people."""
    lines = [f"{result['images']} training images, {result['cap']}"]
    for name in ("random", *FORMS):
        row = result[name]
        each = ", ".join(f"{network['accuracy_test']:.2%}" for network in row["networks"])
        lines.append(f"{name}: test accuracy {row['accuracy_test']:.2%} ({each})")
        if name in FORMS:
            lines.append(
                f"  {row['search_cpu_s']:.0f} s a search, {row['paths_at_end']:.0f} paths at its end"
            )
            lines.append("  ms a step, by tenths   " + " ".join(f"{value:7.2f}" for value in row["step_ms"]))
            lines.append("  live MB, by tenths     " + " ".join(f"{value:7.3f}" for value in row["live_mb"]))
            lines.append(
                "  paths left, by tenths  " + " ".join(f"{value:7.1f}" for value in row["paths_left"])
            )
    return "\n".join(lines)


def main() -> int:
    """Compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="CIFAR-10's folder")
    parser.add_argument("--images", type=int, default=6_000, help="to train and validate with")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--epochs", type=int, default=9, help="of each search, after a third of as many before"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    given = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    try:
        result = compare(given.data, given.images, given.seeds, given.epochs)
    except DataProblem as problem:
        print(f"pruning: {problem}", file=sys.stderr)
        return 2
    print(json.dumps(result, indent=2) if given.format == "json" else text(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
