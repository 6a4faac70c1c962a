"""Commands about a space: count, sample."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsl.suggest import counted
from runtime.cli.common import (
    Answer,
    AnswerFormat,
    CommandError,
    SpaceFile,
    SpaceName,
    command,
    read_source,
    write_json,
)

if TYPE_CHECKING:
    from compiler.architecture import Architecture
    from compiler.ir.expression import Literal
    from compiler.ir.graph import SpaceGraph

MOST_CHOICES = 10
"""The most choices under which networks are counted."""
FeasibleOnly = Annotated[
    bool, typer.Option("--feasible", help="only networks that keep the limits of the space (`require`)")
]
ArchitectureFile = Annotated[Path | None, typer.Option("--arch", help="an architecture file")]


def load_space(file: Path, name: str | None) -> SpaceGraph:
    """The graph of a space of a file."""
    from compiler.frontend import space_of

    return space_of(read_source(file), name)


def load_architecture(path: Path | None, space: SpaceGraph) -> Architecture:
    """The architecture in a file, checked against the space; the only one where no file is named."""
    from compiler.architecture import only, validate
    from runtime.architecture_file import read_architecture

    return only(space) if path is None else validate(space, read_architecture(path))


@command
def count(
    file: SpaceFile,
    space: SpaceName = None,
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="DECISION=CHOICE", help="count networks with this choice; may be repeated"
        ),
    ] = None,
    feasible: FeasibleOnly = False,
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """Count the networks of a space, exactly: distinct assignments of the decisions that exist.

    In JSON `size` is text, as it may not fit a number, and `mixed_ops` is null where the decisions depend on
    each other too much for mixed ops.

    Example: onepath count examples/nas_bench_macro.space --with stage.layer1.path=one
    """
    from compiler.counting import count_with
    from compiler.limits import count_feasible
    from compiler.passes.flatten import CannotFlatten, count_mixed_ops
    from runtime.cli.limits import latencies

    graph = load_space(file, space)
    fixed = _fixed(graph, with_ or ())
    size = count_feasible(graph, fixed, latencies(file)) if feasible else count_with(graph, fixed)
    try:
        mixed_ops = count_mixed_ops(graph)
    except CannotFlatten:
        mixed_ops = None
    decisions = len(graph.decisions)
    if form is Answer.JSON:
        write_json({"space": graph.name, "size": str(size), "decisions": decisions, "mixed_ops": mixed_ops})
    else:
        networks = counted(size, "feasible network" if feasible else "network")
        print(f"{graph.name}: {networks}, {counted(decisions, 'decision')}, {_mixed(mixed_ops)}")


def _fixed(graph: SpaceGraph, texts: Sequence[str]) -> dict[str, Literal]:
    """The choices of `--with`, one a decision; each doubles the work of counting."""
    from compiler.architecture import choice_from_text

    if len(texts) > MOST_CHOICES:
        raise CommandError(f"--with may stand {MOST_CHOICES} times at most")
    fixed: dict[str, Literal] = {}
    for text in texts:
        path, option = choice_from_text(graph, text)
        if fixed.setdefault(path, option) != option:
            raise CommandError(f"--with gives `{path}` two choices")
    return fixed


def _mixed(number: int | None) -> str:
    return counted(number, "mixed op") if number is not None else "decisions too entangled for mixed ops"


class Evenly(StrEnum):
    """What is drawn evenly."""

    NETWORKS = "networks"
    DECISIONS = "decisions"


@command
def sample(
    file: SpaceFile,
    space: SpaceName = None,
    number: Annotated[int, typer.Option("-n", "--number", min=0, help="how many")] = 1,
    seed: Annotated[int, typer.Option(help="the seed of the random stream")] = 0,
    by: Annotated[
        Evenly,
        typer.Option(help="draw evenly over networks, or over the options of each decision that exists"),
    ] = Evenly.NETWORKS,
    feasible: FeasibleOnly = False,
) -> None:
    """Draw architectures evenly and with replacement, one JSON object a line.

    Example: onepath sample examples/quickstart.space -n 3 --seed 7
    """
    from itertools import islice

    from compiler.architecture import draws
    from compiler.limits import feasible as kept
    from runtime.cli.limits import latencies

    graph = load_space(file, space)
    drawn = draws(graph, seed, by.value)
    if feasible:
        drawn = kept(graph, drawn, latencies(file))
    write_architectures(islice(drawn, number))


def write_architectures(architectures: Iterable[Architecture]) -> None:
    """Print architectures, one JSON object a line."""
    from compiler.architecture import to_json

    for architecture in architectures:
        print(json.dumps(to_json(architecture)))
