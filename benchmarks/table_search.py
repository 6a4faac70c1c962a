"""How fast each strategy finds the best networks of NAS-Bench-Macro: regret against distinct networks judged.

    python benchmarks/table_search.py --format json

The published test accuracies of all 6,561 networks are the evaluator, so that a judgement costs nothing and the best
is known: 9 networks lie within 0.1% of it. Each run is one search as the command line does it, with its defaults but
for the number of networks; its log says which networks it judged. A network that is asked for again costs no query.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from nas_bench_macro import DATA, ROOT
from regret_plot import regret_svg

from compiler.frontend import space_of
from compiler.passes.flatten import flatten
from dsl.reading import read
from dsl.settings import Evolution, Random, Reinforce, Strategy
from runtime.events import read_events
from runtime.files import SVG, FileProblem, checked_output, write_atomic
from runtime.search.evaluators.table import TableOfScores, read_score_table
from runtime.search.options import SearchOptions
from runtime.search.problem import Problem, problem_of
from runtime.search.search import search

SCORE = "mean_acc"
CLOSE = 0.1
"""Percentage points from the best that count as found."""
MOMENTS = (25, 50, 100, 150, 200, 300)


def strategies(queries: int) -> dict[str, Strategy]:
    """Each with its defaults, for so many networks."""
    evolution = Evolution()
    generations = math.ceil(queries / evolution.population)
    return {
        "random": Random(samples=queries),
        "evolution": replace(evolution, generations=generations),
        "reinforce": replace(Reinforce(), networks=queries),
    }


def macro(path: Path) -> tuple[Problem, TableOfScores]:
    """The space without caps, and its published accuracies.

    Raises:
        FileProblem: there are none.
    """
    problem = problem_of(flatten(space_of(read(ROOT / "examples/nas_bench_macro.space"))), {})
    return problem, read_score_table(path, problem.decisions, SCORE)


def regrets(
    problem: Problem, table: TableOfScores, strategy: Strategy, seed: int, queries: int
) -> list[float]:
    """How far the best so far is from the best of all, after each distinct network judged; a search that settled
    before it had judged `queries` stays where it was."""
    options, best = SearchOptions(strategy, seed=seed), max(table.scores.values())
    found: list[float] = []
    with TemporaryDirectory() as folder:
        log = search(problem, table, options, Path(folder)).log
        for event in read_events(log):
            if event["event"] == "evaluation":
                regret = best - table.scores[tuple(event["picks"])]
                found.append(min(regret, found[-1]) if found else regret)
    return (found + [found[-1]] * (queries - len(found)))[:queries]


def quartiles(runs: Sequence[Sequence[float]]) -> list[tuple[float, float, float]]:
    """The lower quartile, median and upper quartile over the runs, after each query."""
    rows = [sorted(column) for column in zip(*runs, strict=True)]
    return [(row[(len(row) - 1) // 4], median(row), row[3 * (len(row) - 1) // 4]) for row in rows]


def summary(runs: Sequence[Sequence[float]]) -> dict[str, Any]:
    """When each run came near to the best, and the median regret at some moments."""
    first = [next((n for n, regret in enumerate(run, 1) if regret <= CLOSE), None) for run in runs]
    moments = [number for number in MOMENTS if number <= len(runs[0])]
    return {
        "found": sum(number is not None for number in first),
        "queries_to_find": first,
        "median_regret": {number: round(median(run[number - 1] for run in runs), 4) for number in moments},
    }


def main() -> int:
    """Search, print, draw."""
    given = arguments()
    try:
        plot = given.plot and checked_output(given.plot, SVG, force=True)
        problem, table = macro(given.data)
    except FileProblem as found:
        print(f"{found} (--data names the published figures of NAS-Bench-Macro)", file=sys.stderr)
        return 2
    began = time.monotonic()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    runs = {
        name: [regrets(problem, table, strategy, seed, given.queries) for seed in seeds]
        for name, strategy in strategies(given.queries).items()
    }
    best = max(table.scores.values())
    answer = {
        "networks": len(table.scores),
        "close_networks": sum(best - score <= CLOSE for score in table.scores.values()),
        "close": CLOSE,
        "seeds": [seeds[0], seeds[-1]],
        "queries": given.queries,
        "seconds": round(time.monotonic() - began, 1),
        "strategies": {name: summary(each) for name, each in runs.items()},
        "onepath": version("onepath"),
    }
    if plot:
        write_atomic(plot, regret_svg({name: quartiles(each) for name, each in runs.items()}, len(seeds)))
    print(json.dumps(answer, indent=2) if given.format == "json" else text(answer, len(seeds)))
    return 0


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="nas-bench-macro_cifar10.json")
    parser.add_argument("--seeds", type=_count, default=20, help="runs of each strategy")
    parser.add_argument("--first-seed", type=int, default=0, help="defaults were chosen on 100 to 139")
    parser.add_argument("--queries", type=_count, default=300, help="distinct networks judged in each run")
    parser.add_argument("--plot", type=Path, help="write median and quartiles of the regret as SVG")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="the form of the answer")
    return parser.parse_args()


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 is wanted")
    return int(text)


def text(answer: Mapping[str, Any], seeds: int) -> str:
    """A line for each strategy."""
    return "\n".join(
        f"{name:10} {row['found']:3} of {seeds} within {CLOSE}%; median regret "
        + ", ".join(f"{regret:.2f} at {number}" for number, regret in row["median_regret"].items())
        for name, row in answer["strategies"].items()
    )


if __name__ == "__main__":
    sys.exit(main())
