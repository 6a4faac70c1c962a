"""What `onepath bench` does with a bundle: time it beside its peers, or kernel by kernel."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.cli.bench_subject import misnamed, no_bundle
from runtime.cli.common import Answer, CommandError
from runtime.cli.models import refuse

if TYPE_CHECKING:
    from runtime.devices.tracker import RemoteDevice


class SortKey(StrEnum):
    """What a table of kernels is sorted by."""

    TIME = "time"
    SHARE = "share"
    GAIN = "gain"
    GFLOPS = "gflops"
    NAME = "name"


Peers = Annotated[bool, typer.Option("--peers", help="beside every other runtime that is installed")]
OnlyPeer = Annotated[
    list[str] | None,
    typer.Option("--peer", metavar="NAME", help="beside this one, which must be there; may be repeated"),
]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="threads to use (as the bundle is built)")
]
Cores = Annotated[str | None, typer.Option("--cores", help="the cores to keep to, as in 0,1")]
Model = Annotated[
    Path | None, typer.Option("--model", help="the bundle's network as ONNX (model.onnx beside the bundle)")
]
Seconds = Annotated[
    float | None, typer.Option("--seconds", min=0.1, max=86_400, help="how long each contender is timed (5)")
]
Kernels = Annotated[bool, typer.Option("--kernels", help="kernel by kernel, against the machine's limits")]
Table = Annotated[
    Path | None,
    typer.Option("--table", help="the table it was built from (tuning/<target>.json beside the bundle)"),
]
Sort = Annotated[SortKey | None, typer.Option("--sort", help="what kernels are sorted by (time)")]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE.svg", help="draw the kernels under the machine's roofline"),
]
Trust = Annotated[bool, typer.Option("--trust", help="run a bundle that was not built here, this once")]
Save = Annotated[Path | None, typer.Option("--save", help="write the result to this JSON file, too")]


FEWEST_RUNS = 20
"""Runs of each contender, however short the time is that was given."""


@dataclass(frozen=True)
class Options:
    """The options that are about bundles; None or false where one was not given."""

    peers: bool
    peer: list[str] | None
    threads: int | None
    cores: str | None
    model: Path | None
    seconds: float | None
    save: Path | None
    kernels: bool
    table: Path | None
    sort: SortKey | None
    plot: Path | None
    trust: bool

    @property
    def core_numbers(self) -> tuple[int, ...] | None:
        """The cores, None where none were given.

        Raises:
            CommandError: they are no numbers.
        """
        return None if self.cores is None else core_numbers(self.cores)

    @property
    def given(self) -> list[str]:
        """The options that were given, as they are typed."""
        return [f"--{field.name}" for field in fields(self) if getattr(self, field.name)]


def bench_folder(path: Path, options: Options, form: Answer, device: RemoteDevice | None = None) -> None:
    """Measure the bundle in a folder, or in a run folder, and print what came of it.

    Raises:
        CommandError: there is no bundle.
    """
    from runtime.bundle_bench import bundle_folder
    from runtime.bundle_trust import trusted

    folder = bundle_folder(path)
    if folder is None:
        raise CommandError(no_bundle(path))
    trusted(folder, options.trust)
    if device is not None:
        refuse({"--kernels": options.kernels or None}, "measures this machine, and does not go with --device")
        refuse(
            {"--cores": options.cores},
            "does not go with --device; `onepath device serve --cores` says which cores a device uses",
        )
    if options.kernels:
        _bench_kernels(folder, options, form)
    else:
        refuse(
            {"--table": options.table, "--sort": options.sort, "--plot": options.plot}, "goes with --kernels"
        )
        _bench_peers(folder, options, form, device)


def refuse_for_file(path: Path, options: Options) -> None:
    """End with a message where a file is named that is no space, or an option that is about bundles.

    Raises:
        CommandError: it is a model that another program exported, or a part of a bundle; or an option was given.
    """
    if instead := misnamed(path):
        raise CommandError(instead)
    if options.given:
        raise CommandError(
            f"{options.given[0]} is for bundles: name the folder, such as runs/{path.stem}/bundle"
        )


def _wanted_peers(options: Options) -> tuple[str, ...]:
    """The names of the peers that were asked for.

    Raises:
        UnknownPeer: a name that there is not.
        CommandError: one that was named is not installed.
    """
    from runtime.peers import PEERS, absence
    from runtime.peers import peer as peer_of

    named = tuple(dict.fromkeys(options.peer or ()))
    for name in named:
        if reason := absence(peer_of(name)):
            raise CommandError(f"--peer {name}: {reason}")
    return tuple(dict.fromkeys([*named, *[each.NAME for each in PEERS if options.peers]]))


def _outputs(options: Options, schema: str) -> None:
    """Check the files that are to be written, before anything is measured.

    Raises:
        FileProblem: one cannot be written there, or would replace something else.
    """
    from runtime.files import SVG, checked_output, json_kind

    inputs = [path for path in (options.model, options.table) if path is not None]
    if options.plot:
        checked_output(options.plot, SVG, inputs=inputs, force=True)
        inputs.append(options.plot)
    if options.save:
        checked_output(options.save, json_kind("such a result", schema), inputs=inputs, force=True)


def _bench_peers(folder: Path, options: Options, form: Answer, remote: RemoteDevice | None) -> None:
    from dataclasses import asdict

    from runtime import device
    from runtime.bench import Subject, measure
    from runtime.bench_text import benchmark_lines, left_out
    from runtime.bench_turns import USUAL_TIMING, Timing
    from runtime.benchmark import SCHEMA, write_benchmark
    from runtime.bundle_bench import model_of
    from runtime.console import Console
    from runtime.files import json_document

    names = _wanted_peers(options)
    if not names:
        refuse({"--model": options.model}, "goes with --peers, --peer NAME or --kernels")
    _outputs(options, SCHEMA)
    model = model_of(folder, options.model) if names else None
    subject = Subject(folder, model, names, machine=device.description())
    timing = USUAL_TIMING if options.seconds is None else Timing(runs=FEWEST_RUNS, seconds=options.seconds)
    result = measure(subject, timing, options.threads, options.core_numbers, Console(), remote)
    if options.save:
        write_benchmark(options.save, result)
    if form is Answer.JSON:
        print(json_document(asdict(result), SCHEMA), end="")
    else:
        print("\n".join(benchmark_lines(result)))
    failed = [name for name in options.peer or () if name in result.left_out]
    if failed:
        raise CommandError(f"--peer {failed[0]}: {left_out(result, failed[0])}")


def _bench_kernels(folder: Path, options: Options, form: Answer) -> None:
    from dataclasses import asdict

    from runtime.bundle_bench import kernels_of_bundle
    from runtime.console import Console
    from runtime.files import json_document, write_atomic
    from runtime.kernel_bench.measure import measure_kernels
    from runtime.kernel_bench.plot import roofline_svg
    from runtime.kernel_bench.rows import SCHEMA, write_report
    from runtime.kernel_bench.text import report_lines

    peers = {"--peers": options.peers or None, "--peer": options.peer, "--seconds": options.seconds}
    refuse(peers, "does not go with --kernels, which has its own comparison")
    _outputs(options, SCHEMA)
    given, placement = kernels_of_bundle(
        folder, options.model, options.table, options.threads, options.core_numbers
    )
    report = measure_kernels(given, placement, Console())
    if options.save:
        write_report(options.save, report)
    if options.plot:
        write_atomic(options.plot, roofline_svg(report))
    if form is Answer.JSON:
        print(json_document(asdict(report), SCHEMA), end="")
    else:
        print("\n".join(report_lines(report, options.sort or SortKey.TIME)))


def core_numbers(text: str) -> tuple[int, ...]:
    """The numbers in `0,1`.

    Raises:
        CommandError: it does not hold numbers alone, or one of them twice.
    """
    parts = text.split(",")
    if not all(part.isdecimal() and len(part) < 5 for part in parts):
        raise CommandError(f"--cores {text}: write the numbers of cores, as in 0,1")
    numbers = tuple(map(int, parts))
    twice = next((number for number in numbers if numbers.count(number) > 1), None)
    if twice is not None:
        raise CommandError(
            f"--cores {text}: core {twice} is named twice; each thread needs a core of its own"
        )
    return numbers
