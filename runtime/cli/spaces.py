"""Commands about a space: count, sample."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.cli.common import (
    Answer,
    AnswerFormat,
    SpaceFile,
    SpaceName,
    command,
    read_source,
    write_json,
)

if TYPE_CHECKING:
    from compiler.architecture import Architecture
    from compiler.ir.graph import SpaceGraph

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
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """Count the networks of a space, exactly: distinct assignments of the decisions that exist.

    In JSON `size` is text, as it may not fit a number, and `mixed_ops` is null where the decisions depend on
    each other too much for mixed ops.

    Example: onepath count examples/proxyless_mobile.space
    """
    from compiler.counting import Counter
    from compiler.ir.graph import decisions_of
    from compiler.passes.flatten import CannotFlatten, flatten, mixed_nodes

    graph = load_space(file, space)
    size, decisions = Counter(graph).size(), len(list(decisions_of(graph.graph)))
    try:
        mixed_ops = len(mixed_nodes(flatten(graph)))
    except CannotFlatten:
        mixed_ops = None
    if form is Answer.JSON:
        write_json({"space": graph.name, "size": str(size), "decisions": decisions, "mixed_ops": mixed_ops})
    else:
        print(f"{graph.name}: {size:,} networks, {decisions} decisions, {_mixed(mixed_ops)}")


def _mixed(number: int | None) -> str:
    return f"{number} mixed ops" if number is not None else "decisions too entangled for mixed ops"


@command
def sample(
    file: SpaceFile,
    space: SpaceName = None,
    number: Annotated[int, typer.Option("-n", "--number", min=0, help="how many")] = 1,
    seed: Annotated[int, typer.Option(help="the seed of the random stream")] = 0,
) -> None:
    """Draw architectures uniformly over the networks of a space, one JSON object a line.

    Example: onepath sample examples/quickstart.space -n 3 --seed 7
    """
    from compiler.architecture import sample as draw
    from compiler.architecture import to_json

    for architecture in draw(load_space(file, space), number, seed):
        print(json.dumps(to_json(architecture)))
