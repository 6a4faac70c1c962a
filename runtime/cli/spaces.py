"""Commands about a space: count, cost, sample."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
def cost(
    file: SpaceFile,
    space: SpaceName = None,
    arch: ArchitectureFile = None,
    target: Annotated[
        str | None, typer.Option("--target", help="predict the latency on this target, too")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--table", help="the latency table; default that of the file's run folder")
    ] = None,
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """The cost of one network: parameters, MACs, peak activation memory; its latency on a target.

    The latency comes from the table that `onepath profile` made; nothing is built or run.

    Example: onepath cost examples/quickstart.space --arch architecture.json --target host
    """
    from dataclasses import asdict

    from compiler.cost import cost as cost_of
    from compiler.derive import derive
    from compiler.frontend import sound
    from compiler.lower import lower
    from dsl.resolve import resolve_settings
    from runtime.experiment import target_named

    tree = sound(read_source(file))
    graph = lower(tree, space)
    if target is not None:
        target_named(resolve_settings(tree)[0], target)
    architecture = load_architecture(arch, graph)
    answer: dict[str, object] = asdict(cost_of(derive(graph, architecture.choices)))
    if target is not None or table is not None:
        answer.update(
            _latency(graph, architecture, target or "host", table or _table_of(file, target or "host"))
        )
    if form is Answer.JSON:
        write_json({"space": graph.name, **answer})
    else:
        print("\n".join(_cost_lines(answer)))


def _table_of(file: Path, target: str) -> Path:
    path = Path("runs") / file.stem / "latency" / f"{target}.json"
    if not path.exists():
        raise CommandError(
            f"no latency table at {path}; run `onepath profile {file} --target {target}`, or give --table"
        )
    return path


def _latency(graph: SpaceGraph, architecture: Architecture, target: str, table: Path) -> dict[str, object]:
    from compiler.derive import derive
    from compiler.passes.flatten import flatten
    from compiler.pricing import inference_plan
    from runtime.latency_table import read_table

    plan = inference_plan(derive(flatten(graph), architecture.choices))
    predicted = read_table(table).predict(call.kernel.signature for call in plan.calls)
    return {
        "target": target,
        "latency_predicted_ms": predicted.latency_ms,
        "latency_error_ms": predicted.error_ms,
        "table": str(table),
    }


def _cost_lines(answer: dict[str, object]) -> Iterator[str]:
    yield f"parameters   {answer['params']:>14,}"
    yield f"MACs         {answer['macs']:>14,}"
    yield f"peak memory  {answer['peak_memory_bytes']:>14,} bytes of activations (batch 1, fp32)"
    if "latency_predicted_ms" in answer:
        spread = f"± {answer['latency_error_ms']:.4f} ms"
        yield f"latency      {answer['latency_predicted_ms']:>14.4f} ms {spread}, predicted for {answer['target']}"


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
