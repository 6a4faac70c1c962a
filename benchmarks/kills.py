"""A search that is killed at random points, and goes on each time, against one that is left alone.

    python benchmarks/kills.py --kills 35 --format json

Each strategy searches a small space on the digits of scikit-learn in a process of its own, which gets SIGKILL after a
random time, again and again. In the end the network, the weights, the checkpoint's tensors and the event log (its
clock readings aside) must have the bits of a search that nobody disturbed. Ends with 1 where they do not.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from compiler.frontend import space_of
from compiler.passes.flatten import flatten
from dsl.settings import CapSetting, Evolution, FromScratch, Gradient, Progressive, Random, Reinforce, Sgd
from dsl.source import Source
from runtime.checkpoint import load_checkpoint
from runtime.data.load import DataSource, load
from runtime.events import read_events
from runtime.search.options import SearchOptions
from runtime.search.problem import problem_of
from runtime.search.search import search
from runtime.train import read_weights

TEXT = """
block layer(out) {
    residual {
        choose {
            a: conv(out, 3) -> bn
          | b: depthwise(5) -> bn -> conv(out, 1) -> bn
          | c: depthwise(3) -> bn -> conv(out, 1) -> bn
          | skip: zero
        }
    }
}
space killed {
    input [1, 8, 8]
    output [10]
    conv(16, 3) -> bn -> relu6 -> layer(16) -> layer(16) -> layer(16) -> global_pool -> linear(10)
}
"""
FORMS: dict[str, dict[str, Any]] = {
    "recompute": {"strategy": Gradient(every=2)},
    "two_path": {"strategy": Gradient("two_path", every=2)},
    "pruned": {"strategy": Gradient(every=2), "prune": Progressive(), "superkernels": True},
    "finals": {"strategy": Gradient(every=2), "finals": FromScratch(4, 1.0), "superkernels": True},
    "reinforce": {"strategy": Reinforce(samples=4, every=2)},
    "evolution": {"strategy": Evolution(population=8, generations=6)},
    "random": {"strategy": Random(samples=40)},
}


def run(form: str, folder: Path) -> None:
    """One search to its end."""
    flat = flatten(space_of(Source("killed.space", TEXT)))
    problem = problem_of(flat, {}, [CapSetting("macs", "<=", 5e5, None)])
    options = SearchOptions(
        epochs=6,
        warmup=2,
        batch=64,
        optimiser=Sgd(lr=0.1),
        recalibration_batches=2,
        save_every_s=0.1,
        **FORMS[form],
    )
    search(problem, load(DataSource("digits"), seed=1), options, folder)


def outcome(folder: Path) -> dict[str, Any]:
    """What must be equal: weights, the last checkpoint's tensors, the log without its clock readings."""
    loaded = load_checkpoint(folder / "search_checkpoints")
    assert loaded is not None
    events = [
        {k: v for k, v in each.items() if k != "wall_s"} for each in read_events(folder / "search.jsonl")
    ]
    return {
        "weights": {
            k: v.numpy().tobytes() for k, v in read_weights(folder / "supernet_path.safetensors").items()
        },
        "state": {k: v.numpy().tobytes() for k, v in loaded[1].tensors.items()},
        "events": events,
    }


def killed(form: str, folder: Path, kills: int, generator: random.Random) -> tuple[int, list[int]]:
    """Run and kill until `kills` are done or the search is; then let it end. The kills, and the steps done at each."""
    command, steps = [sys.executable, __file__, "--child", form, "--folder", str(folder)], []
    for _ in range(kills):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        begun = newest(folder)
        while process.poll() is None and newest(folder) == begun:
            time.sleep(0.005)
        try:
            process.wait(generator.uniform(0.0, 0.4))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            steps.append(newest(folder))
            continue
        break
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return len(steps), steps


def newest(folder: Path) -> int:
    """The steps of the newest checkpoint; -1 where there is none."""
    found = sorted((folder / "search_checkpoints").glob("checkpoint-*"))
    return int(found[-1].stem.partition("-")[2]) if found else -1


def compare(kills: int, seed: int) -> dict[str, Any]:
    """All forms in turn until there were so many kills."""
    generator, rows, done = random.Random(seed), [], 0
    while done < kills:
        form = list(FORMS)[len(rows) % len(FORMS)]
        with tempfile.TemporaryDirectory() as place:
            calm, disturbed = Path(place) / "calm", Path(place) / "disturbed"
            run(form, calm)
            count, steps = killed(form, disturbed, min(5, kills - done), generator)
            equal = {name: value == outcome(disturbed)[name] for name, value in outcome(calm).items()}
        rows.append({"form": form, "kills": count, "after_steps": steps, **equal})
        print(rows[-1], file=sys.stderr)
        done += count
    same = all(row[name] for row in rows for name in ("weights", "state", "events"))
    return {"kills": done, "identical": same, "searches": rows}


def main() -> int:
    """Kill, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", choices=tuple(FORMS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    given = parser.parse_args()
    if given.child:
        run(given.child, given.folder)
        return 0
    result = compare(given.kills, given.seed)
    if given.format == "json":
        print(json.dumps(result, indent=2))
    else:
        print(f"{result['kills']} kills, all identical: {result['identical']}")
    return 0 if result["identical"] else 1


if __name__ == "__main__":
    sys.exit(main())
