"""Search ProxylessNAS's space for two devices, and compare: by the published table of the Pixel 1, and this machine.

    python benchmarks/two_targets.py --table mobile_trim.yaml --format json

`onepath run --targets pixel1,host` over `examples/proxyless_mobile.space`, by evolution, with `two_targets_proxy.py` as
the judge: nothing is trained. Its score is no accuracy; it says that more is better, with returns that diminish.
This machine is profiled first, with the default schedules. Each target's cap is the same share of a sample: the latency
under which `--share` of the networks are, of 2,000 drawn evenly among those that keep the space's limit on MACs.

A network wins at home where it holds the cap and the other does not, or scores less, by the tables. The best score
under each cap is known, as the score is a sum: it is solved as an integer programme. Ends with 1 where a network does
not win at home, with 2 where the published table is not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from nas_bench_macro import ROOT
from two_targets_proxy import score

from compiler.caps import Cap, Caps
from compiler.path_costs import Picks
from compiler.path_decisions import choices_of
from compiler.predict import candidate_costs
from runtime.console import Console
from runtime.device import fingerprint
from runtime.experiment import load_experiment
from runtime.files import sha256_file
from runtime.latency_table import read_table
from runtime.run_folder import RunFolder
from runtime.search.problem import Problem, problem_of
from runtime.specialise.cross import Cross, read_cross
from runtime.stages import Run

PIXEL, HOST = "pixel1", "host"
TARGETS = (PIXEL, HOST)
DRAWN = 2000
WAY_OUT = "name mobile_trim.yaml of https://github.com/han-cai/files with --table"
SEARCH = """
target {pixel} {{ latency_table = "{table}" }}

search proxyless_mobile {{
    evaluator = function("two_targets_proxy:score")
    strategy = evolution(population = 50, generations = 80)
    latency <= 1 s on {pixel}
    latency <= 1 s on {host}
    profile_budget = 1 s
}}
"""


def write_space(folder: Path, table: Path) -> Path:
    """The example's space with the two targets, its search judged by the proxy; a recipe it has not."""
    text = (ROOT / "examples/proxyless_mobile.space").read_text().partition("target laptop")[0]
    path = folder / "mobile.space"
    path.write_text(text + SEARCH.format(pixel=PIXEL, host=HOST, table=table.name))
    (folder / table.name).write_bytes(table.read_bytes())
    (folder / "two_targets_proxy.py").write_bytes(
        Path(__file__).with_name("two_targets_proxy.py").read_bytes()
    )
    return path


def onepath(*words: object) -> int:
    """Run the command line as a process of its own; its answer goes with the progress."""
    command = [sys.executable, "-P", "-m", "runtime", *map(str, words)]
    return subprocess.run(command, check=False, stdout=sys.stderr, cwd=ROOT).returncode


def problem(file: Path, out: Path) -> Problem:
    """The space with the prices of both targets, and the limit that it sets itself."""
    from dsl.reading import read

    prices = {}
    for name in TARGETS:
        run = Run(load_experiment(read(file), target=name), RunFolder(out / name), Console())
        prices[name] = candidate_costs(run.prices(), run.experiment.flat)
    return problem_of(run.experiment.flat, prices)


def drawn(space: Problem, count: int, seed: int) -> list[Picks]:
    """Even draws of networks that keep the space's own limits."""
    stream, found = np.random.default_rng(seed), list[Picks]()
    while len(found) < count:
        picks = tuple(int(stream.integers(size)) for size in space.candidates)
        if not space.caps.broken(picks):
            found.append(picks)
    return found


def optimum(space: Problem, target: str, cap_ms: float) -> float:
    """The best score of all networks under a cap."""
    rows = [[score(dict(candidate)) for candidate in decision.choices] for decision in space.decisions]
    limit = Cap(f"latency on {target}", space.metrics[f"latency on {target}"], cap_ms, "<=")
    picks = Caps(space.candidates, (*space.caps.caps, limit)).best(rows)
    assert picks is not None, "the cap is held by networks that were drawn"
    return score(choices_of(space.decisions, picks))


def wins(cross: Cross, home: str, away: str) -> bool:
    """Whether the network of `home` holds its cap, and the other breaks that or scores less."""
    own, other = cross.networks[home], cross.networks[away]
    return own.on[home].holds and (not other.on[home].holds or own.score > other.score)


def figures(cross: Cross, space: Problem, caps: Mapping[str, float]) -> dict[str, Any]:
    """What is said of each target."""
    found = {}
    for home, away in (TARGETS, TARGETS[::-1]):
        own, other = cross.networks[home], cross.networks[away]
        found[home] = {
            "cap_ms": caps[home],
            "score": own.score,
            "optimum": optimum(space, home, caps[home]),
            "wins": wins(cross, home, away),
            "other_over_own": other.on[home].predicted_ms / own.on[home].predicted_ms,
            "other_over_own_measured": _ratio(other.on[home].measured_ms, own.on[home].measured_ms),
            "macs": own.macs,
            "params": own.params,
            "kernels": _tally(own.choices, ".kernel"),
            "expansions": _tally(own.choices, ".expand"),
        }
    return found


def _ratio(over: float | None, under: float | None) -> float | None:
    return None if over is None or under is None else over / under


def _tally(choices: Mapping[str, Any], ending: str) -> dict[str, int]:
    """How many layers have each value of a decision."""
    values = [value for path, value in choices.items() if path.endswith(ending)]
    return {str(value): values.count(value) for value in sorted(set(values))}


def main() -> int:
    """Profile, choose the caps, search for both, compare."""
    given = arguments()
    if given.table is None or not given.table.is_file():
        missing = "no table is given" if given.table is None else f"{given.table}: there is no such file"
        print(f"{missing}; {WAY_OUT}", file=sys.stderr)
        return 2
    began = time.monotonic()
    with TemporaryDirectory(prefix="onepath-") as scratch:
        folder = given.out or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        answer = compared(folder, given.table, given.share, given.seed)
    if answer is None:
        return 2
    answer["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(answer, indent=2) if given.format == "json" else text(answer))
    return 0 if all(each["wins"] for each in answer["targets"].values()) else 1


def compared(folder: Path, table: Path, share: float, seed: int) -> dict[str, Any] | None:
    """All that is printed; None where a command failed, which said why."""
    file, out = write_space(folder, table), folder / "out"
    records = ("--records", folder / "records.sqlite")
    if onepath("profile", file, "--target", HOST, "--out", out / HOST, *records):
        return None
    space = problem(file, out)
    networks = drawn(space, DRAWN, seed)
    caps = {name: _share_ms(space, networks, name, share) for name in TARGETS}
    settings = [word for name in TARGETS for word in ("--set", f"latency <= {caps[name]} ms on {name}")]
    if onepath("run", file, "--targets", ",".join(TARGETS), "--out", out, *records, *settings):
        return None
    cross = read_cross(out / "cross.json")
    latencies = [[space.metrics[f"latency on {name}"].total(picks) for picks in networks] for name in TARGETS]
    return {
        "space": cross.space,
        "processor": fingerprint(),
        "pixel1_table_sha256": sha256_file(table),
        "share": share,
        "drawn": DRAWN,
        "correlation_of_latencies": float(np.corrcoef(latencies)[0, 1]),
        "noisy": read_table(out / HOST / f"latency/{HOST}.json").noise.noisy or cross.targets[HOST].noisy,
        "targets": figures(cross, space, caps),
        "differing_decisions": _differing(cross),
        "decisions": len(space.decisions),
        "cross": cross.describe(),
        "onepath": version("onepath"),
    }


def _share_ms(space: Problem, networks: Sequence[Picks], target: str, share: float) -> float:
    """The latency under which that share of the networks are, to four figures."""
    metric = space.metrics[f"latency on {target}"]
    return float(f"{np.quantile([metric.total(picks) for picks in networks], share):.4g}")


def _differing(cross: Cross) -> int:
    """Layers that are not the same in both networks: whether there, and the expansion and kernel of their block."""
    first, second = (cross.networks[name].choices for name in TARGETS)
    paths = {path for path in {**first, **second} if first.get(path) != second.get(path)}
    return len({path.rpartition(".")[0].removesuffix(".mbconv") for path in paths})


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, help="mobile_trim.yaml, the published table")
    parser.add_argument(
        "--share", type=float, default=0.4, help="of the drawn networks, those under the caps"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the networks drawn")
    parser.add_argument("--out", type=Path, help="a folder to keep all of it, and to go on in")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="the form of the answer")
    return parser.parse_args()


def text(answer: Mapping[str, Any]) -> str:
    """A line for each target."""
    busy = "the machine was busy: repeat it before quoting its times\n" if answer["noisy"] else ""
    return busy + "\n".join(
        f"{name}: cap {row['cap_ms']:g} ms, score {row['score']:.2f} of {row['optimum']:.2f}; the other network takes "
        f"{row['other_over_own']:.3f} times as long; {'wins' if row['wins'] else 'does not win'} at home"
        for name, row in answer["targets"].items()
    )


if __name__ == "__main__":
    sys.exit(main())
