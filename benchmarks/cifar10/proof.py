"""Search, train, build and measure on CIFAR-10 beside MobileNetV2 and random networks: the proof of the search.

    python benchmarks/cifar10/proof.py --plan
    python benchmarks/cifar10/proof.py --all --runs runs/cifar10
    python benchmarks/cifar10/proof.py --piece search_gradient --runs runs/cifar10

Each piece is the public pipeline (`onepath search`, `train`, `build`): one that was interrupted goes on with the same
command, one that is done is skipped. Its summary, its log and its architecture land beside this file (`--out`), to be
committed; `--piece report` makes `results.json`, `plot.svg` and `README.md` of them. `--scale 0.005` tries all of it
in minutes, with its results in the run folders.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from proof_pieces import Piece, bring, is_done, pieces
from proof_run import PieceFailed
from proof_setup import DATA, HERE, ROOT, Setup

from runtime.bench_contender import BenchProblem
from runtime.files import FileProblem

REPORT = "report"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the pieces asked for; ends with 2 where one fails."""
    given = _parser().parse_args(arguments)
    if given.scale <= 0 or given.scale > 1:
        print("--scale must be above 0, and at most 1", file=sys.stderr)
        return 2
    runs = given.runs.absolute()
    out = given.out or (HERE if given.scale == 1 else runs / "out")
    setup = Setup(runs, out.absolute(), given.data.absolute(), given.cap, given.scale)
    every = pieces(setup)
    if given.plan:
        _print_plan(setup, every)
        return 0
    if not (given.data / "meta.json").is_file() and not list(given.data.glob("**/data_batch_1.bin")):
        print(f"no CIFAR-10 in {given.data}; give its folder with --data", file=sys.stderr)
        return 2
    try:
        for piece in every:
            if given.all or given.piece == piece.name:
                _bring(setup, piece)
        if given.all or given.piece == REPORT:
            from proof_report import write_report

            write_report(setup)
    except (PieceFailed, FileProblem, BenchProblem) as problem:
        print(f"proof: {problem}", file=sys.stderr)
        return 2
    return 0


def _bring(setup: Setup, piece: Piece) -> None:
    lacking = [path for path in piece.reads if not path.is_file()]
    if lacking:
        raise PieceFailed(f"{piece.name} needs {lacking[0]}, which an earlier piece leaves")
    print(f"{time.strftime('%H:%M:%S')}  {piece.name}, planned {piece.minutes:.0f} min", flush=True)
    began = time.monotonic()
    was_to_do = bring(setup, piece)
    state = f"took {(time.monotonic() - began) / 60:.1f} min" if was_to_do else "was done before"
    print(f"{time.strftime('%H:%M:%S')}  {piece.name} {state}", flush=True)


def _print_plan(setup: Setup, every: Sequence[Piece]) -> None:
    for piece in every:
        print(f"{piece.name:24} {piece.minutes:5.0f} min  {'done' if is_done(setup, piece) else 'to do'}")
    print(f"{REPORT:24} {0:5.0f} min")
    left = sum(piece.minutes for piece in every if not is_done(setup, piece))
    print(f"{'left':24} {left:5.0f} min")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--piece", choices=_names(), metavar="NAME", help=", ".join(_names()))
    wanted.add_argument("--all", action="store_true", help="every piece that is not done, in order")
    wanted.add_argument(
        "--plan", action="store_true", help="the pieces, their planned minutes, which are done"
    )
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/cifar10", help="where the run folders go")
    parser.add_argument("--out", type=Path, help="where the results go; default beside this file")
    parser.add_argument("--data", type=Path, default=DATA, help="CIFAR-10's folder")
    parser.add_argument("--cap", type=float, metavar="MS", help="the cap on latency; default the file's")
    parser.add_argument("--scale", type=float, default=1.0, help="the share of the planned time, for a trial")
    return parser


def _names() -> list[str]:
    return [*[piece.name for piece in pieces(Setup(Path("runs"), HERE))], REPORT]


if __name__ == "__main__":
    sys.exit(main())
