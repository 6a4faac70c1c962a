"""How fast each strategy finds the best networks of NAS-Bench-Macro: regret against distinct networks judged.

    python benchmarks/search_strategies.py --format json

The published test accuracies of all 6,561 networks are the evaluator, so that a judgement costs nothing and the best
is known: 9 networks lie within 0.1% of it. A network that is asked for again costs no query.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from nas_bench_macro import DATA, published

from runtime.search.samplers.evolution import EvolutionSampler
from runtime.search.samplers.random_sampler import RandomSampler
from runtime.search.samplers.reinforce import ReinforceSampler
from runtime.search.samplers.sampler import Judged, Picks, Sampler

CANDIDATES = (3,) * 8
CLOSE = 0.1
"""Percentage points from the best that count as found."""
ASKS = 50
"""So many times as many networks may be asked for as are to be judged: a strategy that repeats itself ends."""

SAMPLERS: Mapping[str, Callable[[int], Sampler]] = {
    "random": lambda seed: RandomSampler(CANDIDATES, seed),
    "evolution": lambda seed: EvolutionSampler(CANDIDATES, seed),
    "reinforce": lambda seed: ReinforceSampler(CANDIDATES, seed),
}


def accuracies(path: Path) -> dict[Picks, float]:
    """The mean test accuracy of each network, in percent."""
    return {tuple(map(int, code)): float(row["mean_acc"]) for code, row in published(path).items()}


def regrets(sampler: Sampler, table: Mapping[Picks, float], queries: int) -> list[float]:
    """How far the best so far is from the best of all, after each distinct network judged."""
    best, seen, found = max(table.values()), set[Picks](), []
    for _ in range(ASKS * queries):
        if len(seen) == queries:
            break
        picks = sampler.ask()
        sampler.tell(Judged(picks, table[picks] / 100))
        if picks not in seen:
            seen.add(picks)
            regret = best - table[picks]
            found.append(min(regret, found[-1]) if found else regret)
    return found + [found[-1]] * (queries - len(found))


def compare(table: Mapping[Picks, float], seeds: int, queries: int) -> dict[str, Any]:
    """By strategy: the regrets of all seeds at some moments, and how many found one of the best."""
    result: dict[str, Any] = {"networks": len(table), "seeds": seeds, "queries": queries, "strategies": {}}
    for name, make in SAMPLERS.items():
        runs = [regrets(make(seed), table, queries) for seed in range(seeds)]
        moments = [number for number in (25, 50, 100, 150, 200, 300) if number <= queries]
        first = [next((n + 1 for n, regret in enumerate(run) if regret <= CLOSE), None) for run in runs]
        result["strategies"][name] = {
            "found": sum(number is not None for number in first),
            "queries_to_find": first,
            "median_regret": {number: median(run[number - 1] for run in runs) for number in moments},
        }
    return result


def main() -> int:
    """Compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="the published file")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    given = parser.parse_args()
    if not given.data.is_file():
        print(f"{given.data} is not there: download it from the NAS-Bench-Macro repository", file=sys.stderr)
        return 2
    result = compare(accuracies(given.data), given.seeds, given.queries)
    print(json.dumps(result, indent=2) if given.format == "json" else _text(result))
    return 0


def _text(result: Mapping[str, Any]) -> str:
    rows: Sequence[tuple[str, Mapping[str, Any]]] = list(result["strategies"].items())
    return "\n".join(
        f"{name:10} {row['found']:3} of {result['seeds']} within {CLOSE}%; median regret "
        + ", ".join(f"{regret:.2f} at {number}" for number, regret in row["median_regret"].items())
        for name, row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
