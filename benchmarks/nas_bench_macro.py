"""Derive and cost all 6,561 networks of NAS-Bench-Macro from the graph, and compare with the published figures.

    python benchmarks/nas_bench_macro.py --format json

Nothing is built: each network is derived from the space graph, and its parameters and multiply-accumulates are
counted from its operators (Su et al., Prioritized Architecture Sampling with Monto-Carlo Tree Search, CVPR 2021;
figures of github.com/xiusu/NAS-Bench-Macro). Ends with 1 where one network differs, with 2 where there is no data.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from compiler.cost import Cost, cost
from compiler.derive import derive
from compiler.frontend import space_of
from compiler.ir.graph import SpaceGraph
from dsl.reading import read

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared/data/nas_bench_macro/nas-bench-macro_cifar10.json"
LABELS = {"0": "zero", "1": "one", "2": "two"}
"""A digit of a published key as the label of a layer's candidate."""


def published(path: Path) -> dict[str, dict[str, Any]]:
    """The published figures by the eight digits of each network.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not JSON.
    """
    rows: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def costs(space: SpaceGraph, codes: Mapping[str, object]) -> Iterator[tuple[str, Cost]]:
    """The cost of the network of each code."""
    paths = [decision.path for decision in space.decisions]
    for code in codes:
        choices = {path: LABELS[digit] for path, digit in zip(paths, code, strict=True)}
        yield code, cost(derive(space, choices))


def compare(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How many networks are exact, and how long reading the space and costing all of them took, in seconds."""
    began, cpu_began = time.perf_counter(), time.process_time()
    space = space_of(read(ROOT / "examples/nas_bench_macro.space"))
    found = dict(costs(space, rows))
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    return {
        "networks": len(rows),
        "exact_params": sum(found[code].params == row["params"] for code, row in rows.items()),
        "exact_macs": sum(found[code].macs == row["flops"] for code, row in rows.items()),
        "seconds": round(seconds, 3),
        "seconds_cpu": round(cpu_seconds, 3),
        "versions": {"onepath": version("onepath"), "python": python_version()},
    }


def main() -> int:
    """Print the comparison; the exit code says whether all networks are exact."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="nas-bench-macro_cifar10.json")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="the form of the answer")
    given = parser.parse_args()
    try:
        rows = published(given.data)
    except (OSError, ValueError) as problem:
        print(
            f"the published figures cannot be read: {problem}; give their place with --data", file=sys.stderr
        )
        return 2
    answer = compare(rows)
    if given.format == "json":
        print(json.dumps(answer, indent=2))
    else:
        exact = f"{answer['exact_params']:,} exact in parameters, {answer['exact_macs']:,} in MACs"
        print(f"{answer['networks']:,} networks in {answer['seconds']} s: {exact}")
    return 0 if answer["exact_params"] == answer["exact_macs"] == answer["networks"] else 1


if __name__ == "__main__":
    sys.exit(main())
