"""The command group `arch`: architectures of a space, one JSON object a line, and what can be done with them."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsl.suggest import counted
from runtime.cli.common import NO, CommandError, SpaceFile, SpaceName, command
from runtime.cli.spaces import FeasibleOnly, load_architecture, load_space, write_architectures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compiler.encoding import Encoding

app = typer.Typer(no_args_is_help=True, help="List, check, encode and vary architectures of a space.")

ArchitectureArgument = Annotated[Path, typer.Argument(metavar="ARCHITECTURE", help="an architecture file")]
Limit = Annotated[int | None, typer.Option("--limit", min=0, help="at most so many")]
Number = Annotated[int, typer.Option("-n", "--number", min=0, help="how many")]
Seed = Annotated[int, typer.Option(help="the seed of the random stream")]


class Form(StrEnum):
    """The form of a vector."""

    INDEX = "index"
    ONE_HOT = "one_hot"


VectorForm = Annotated[
    Form,
    typer.Option(
        "--form", help="index: one number a decision, -1 where it is absent; one_hot: one an option"
    ),
]


@app.command("list")
@command
def list_(file: SpaceFile, space: SpaceName = None, limit: Limit = None) -> None:
    """Every architecture of a space, in a stable order: the first decision of the file varies slowest.

    Example: onepath arch list examples/nas_bench_macro.space --limit 3
    """
    from compiler.architecture import every
    from compiler.counting import Counter

    write_architectures(islice(every(Counter(load_space(file, space))), limit))


@app.command()
@command
def validate(
    file: SpaceFile,
    architecture: ArchitectureArgument,
    space: SpaceName = None,
    feasible: FeasibleOnly = False,
) -> None:
    """Check an architecture file against a space: exit 0 if it is one of it, 1 with every reason if not.

    Example: onepath arch validate examples/quickstart.space architecture.json
    """
    from compiler.architecture import InvalidArchitecture
    from compiler.limits import broken
    from runtime.cli.limits import latencies

    graph = load_space(file, space)
    try:
        found = load_architecture(architecture, graph)
    except InvalidArchitecture as problem:
        print(problem, file=sys.stderr)
        raise typer.Exit(NO) from None
    over = broken(graph, found, latencies(file)) if feasible else []
    for limit, value in over:
        print(
            f"{limit.metric} is {value:,.6g}, and `require` says {limit.comparison} {limit.bound}",
            file=sys.stderr,
        )
    if over:
        raise typer.Exit(NO)
    print(f"{architecture}: an architecture of `{graph.name}`, {counted(len(found.choices), 'decision')}")


@app.command()
@command
def encode(
    file: SpaceFile,
    architectures: Annotated[list[Path], typer.Argument(metavar="ARCHITECTURE…", help="architecture files")],
    space: SpaceName = None,
    form: VectorForm = Form.INDEX,
    header: Annotated[bool, typer.Option("--header", help="first the names of the columns")] = False,
) -> None:
    """Architectures as flat vectors of integers for predictors, one JSON list a line.

    Example: onepath arch encode examples/quickstart.space architecture.json --form one_hot
    """
    encoding = _encoding(file, space, form)
    if header:
        print(json.dumps(encoding.columns))
    for path in architectures:
        print(json.dumps(encoding.encode(load_architecture(path, encoding.space))))


@app.command()
@command
def decode(file: SpaceFile, space: SpaceName = None, form: VectorForm = Form.INDEX) -> None:
    """The architectures of vectors that stand on standard input, one JSON list a line.

    Example: echo '[1, 0, 2, 1, 1, 0, 2, 2]' | onepath arch decode examples/nas_bench_macro.space
    """
    encoding = _encoding(file, space, form)
    write_architectures(encoding.decode(vector) for vector in _vectors())


def _encoding(file: Path, space: str | None, form: Form) -> Encoding:
    from compiler.encoding import Encoding

    if str(file) == "-":
        raise CommandError("standard input is for vectors; name a .space file")
    return Encoding(load_space(file, space), form.value)


def _vectors() -> Iterator[list[int]]:
    for number, line in enumerate(sys.stdin, 1):
        if not line.strip():
            continue
        try:
            vector = json.loads(line)
        except (ValueError, RecursionError):
            vector = None
        if not isinstance(vector, list) or not all(type(each) is int for each in vector):
            raise CommandError(f"line {number} of standard input is no JSON list of integers")
        yield vector


@app.command()
@command
def neighbours(
    file: SpaceFile, architecture: ArchitectureArgument, space: SpaceName = None, limit: Limit = None
) -> None:
    """Every architecture that differs in one decision that both have, in a stable order.

    Example: onepath arch neighbours examples/quickstart.space architecture.json --limit 10
    """
    from compiler.variation import neighbours as near

    graph = load_space(file, space)
    write_architectures(islice(near(graph, load_architecture(architecture, graph)), limit))


@app.command()
@command
def mutate(
    file: SpaceFile,
    architecture: ArchitectureArgument,
    space: SpaceName = None,
    rate: Annotated[float, typer.Option(min=0, max=1, help="the chance that a decision changes")] = 0.1,
    number: Number = 1,
    seed: Seed = 0,
) -> None:
    """Architectures with some decisions changed at random, at least one.

    Example: onepath arch mutate examples/quickstart.space architecture.json -n 4 --seed 1
    """
    import random

    from compiler.variation import mutate as mutated

    graph, stream = load_space(file, space), random.Random(seed)
    parent = load_architecture(architecture, graph)
    if not parent.choices:
        raise CommandError(f"`{graph.name}` has one network, which cannot be changed")
    write_architectures(mutated(graph, parent, stream, rate) for _ in range(number))


@app.command()
@command
def crossover(
    file: SpaceFile,
    one: ArchitectureArgument,
    other: ArchitectureArgument,
    space: SpaceName = None,
    number: Number = 1,
    seed: Seed = 0,
) -> None:
    """Architectures that have each decision from one of two parents.

    Example: onepath arch crossover examples/quickstart.space mother.json father.json -n 4
    """
    import random

    from compiler.variation import crossover as crossed

    graph, stream = load_space(file, space), random.Random(seed)
    parents = load_architecture(one, graph), load_architecture(other, graph)
    write_architectures(crossed(graph, *parents, stream) for _ in range(number))
