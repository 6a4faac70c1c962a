"""The command `cost`: of one network, or the range over a space; nothing is built or run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from runtime.cli.spaces import ArchitectureFile, load_architecture

if TYPE_CHECKING:
    from compiler.ir.graph import SpaceGraph
    from compiler.predict import Table
    from dsl import syntax


@dataclass(frozen=True)
class Priced:
    """A latency table, where it is, and the target that it is of."""

    table: Table
    path: Path
    target: str


@command
def cost(
    file: SpaceFile,
    space: SpaceName = None,
    arch: ArchitectureFile = None,
    target: Annotated[
        str | None, typer.Option("--target", help="predict the latency on this target, too")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--table", help="the latency table; default the target's, else the run folder's"),
    ] = None,
    fastest: Annotated[
        Path | None, typer.Option("--fastest", help="write the fastest network's architecture to this file")
    ] = None,
    form: AnswerFormat = Answer.TEXT,
) -> None:
    """The cost of one network, or the range over a space: parameters, MACs; memory of one; latency on a target.

    The latency comes from the target's `latency_table`, or from the table that `onepath profile` made. Of a
    space the least and the most are printed, and the expectation with all candidates of a mixed op alike.

    Example: onepath cost examples/quickstart.space --arch architecture.json --target host
    """
    from compiler.frontend import examine

    analysis = examine(read_source(file))
    tree, graph = analysis.sound(), analysis.space(space)
    whole = arch is None and bool(graph.decisions)
    if fastest is not None and (not whole or (target is None and table is None)):
        raise CommandError("--fastest is for a space with decisions, and needs --target or --table")
    if fastest is not None:
        fastest = _architecture_output(fastest, file)
    priced = priced_table(file, tree, target, table)
    answer = _space_answer(graph, priced, fastest) if whole else _network_answer(graph, arch, priced)
    if form is Answer.JSON:
        write_json({"space": graph.name, **answer})
    else:
        print("\n".join(_range_lines(answer) if whole else _cost_lines(answer)))


def priced_table(file: Path, tree: syntax.File, target: str | None, path: Path | None) -> Priced | None:
    """The table that is asked for, if one is; that of a profiled target must be of the target named."""
    from compiler.latency import LatencyTable
    from dsl.resolve import resolve_settings
    from runtime.experiment import target_named
    from runtime.latency_table import read_any_table, table_path

    if target is not None:
        settings = target_named(resolve_settings(tree)[0], target)
        path = path or table_path(settings, file.parent) or _profiled(file, target)
    if path is None:
        return None
    table = read_any_table(path, device=target)
    own = table.target.get("name") if isinstance(table, LatencyTable) else target or table.device
    if target not in (None, own):
        raise CommandError(f"{path} is the latency table of target `{own}`, not of `{target}`")
    return Priced(table, path, str(own))


class NoTable(CommandError):
    """A target that has no latency table yet."""


def _profiled(file: Path, target: str) -> Path:
    path = Path("runs") / file.stem / "latency" / f"{target}.json"
    if not path.exists():
        raise NoTable(
            f"no latency table at {path}; run `onepath profile {file} --target {target}`, or give --table"
        )
    return path


def _network_answer(graph: SpaceGraph, arch: Path | None, priced: Priced | None) -> dict[str, Any]:
    from dataclasses import asdict

    from compiler.cost import cost as cost_of
    from compiler.derive import derive
    from compiler.predict import predict

    choices = load_architecture(arch, graph).choices
    answer: dict[str, Any] = asdict(cost_of(derive(graph, choices)))
    if priced is None:
        return answer
    predicted = predict(priced.table, graph, choices)
    return {
        **answer,
        "target": priced.target,
        "latency_predicted_ms": predicted.latency_ms,
        "latency_error_ms": predicted.error_ms,
        "table": str(priced.path),
    }


def _space_answer(graph: SpaceGraph, priced: Priced | None, fastest: Path | None) -> dict[str, Any]:
    from compiler.bounds import TooMany, bounds, items_of

    try:
        size = bounds(items_of(graph.graph))
    except TooMany as problem:
        raise CommandError(f"{problem}: name one network with --arch") from None
    assert size is not None, "without a condition there is a network"
    (params_min, params_max), (macs_min, macs_max) = size.params, size.macs
    answer = {
        "params_min": params_min,
        "params_max": params_max,
        "macs_min": macs_min,
        "macs_max": macs_max,
    }
    return answer if priced is None else {**answer, **_latency_answer(graph, priced, fastest)}


def _latency_answer(graph: SpaceGraph, priced: Priced, fastest: Path | None) -> dict[str, Any]:
    from compiler.passes.flatten import flatten
    from compiler.path_decisions import path_decisions
    from compiler.predict import candidate_costs, relative_error, space_latency

    try:
        flat = flatten(graph)
        path_decisions(flat.graph)
    except ValueError as problem:
        # The decisions depend on each other too much for candidates that have prices of their own.
        raise CommandError(f"{problem}: name one network with --arch") from None
    latency = space_latency(graph, flat, candidate_costs(priced.table, flat))
    if fastest is not None:
        _write_architecture(fastest, latency.fastest)
    found = {"min": latency.min_ms, "max": latency.max_ms, "expected": latency.expected_ms}
    error = relative_error(priced.table)
    return {
        "target": priced.target,
        **{f"latency_{name}_ms": value for name, value in found.items()},
        **{
            f"latency_{name}_error_ms": None if error is None else error * value
            for name, value in found.items()
        },
        "table": str(priced.path),
        "fastest": None if fastest is None else str(fastest),
    }


def _architecture_output(path: Path, file: Path) -> Path:
    """Where to write an architecture file, before the work; only such a file is replaced."""
    from compiler.architecture import SCHEMA
    from runtime.files import checked_output, json_kind

    return checked_output(path, json_kind("an architecture file", SCHEMA), inputs=[file], force=True)


def _write_architecture(path: Path, architecture: Any) -> None:
    from compiler.architecture import to_json
    from runtime.files import write_atomic

    write_atomic(path, json.dumps(to_json(architecture), indent=2) + "\n")


def _cost_lines(answer: dict[str, Any]) -> Iterator[str]:
    yield f"parameters   {answer['params']:>14,}"
    yield f"MACs         {answer['macs']:>14,}"
    yield f"peak memory  {answer['peak_memory_bytes']:>14,} bytes of activations (batch 1, fp32)"
    if "latency_predicted_ms" in answer:
        error = _error(answer["latency_error_ms"])
        yield f"latency      {answer['latency_predicted_ms']:>14.4f}{error} ms, predicted for {answer['target']}"


def _error(error_ms: float | None) -> str:
    """The error bar behind a latency; nothing where the table does not say."""
    return "" if error_ms is None else f" ± {error_ms:.4f}"


def _range_lines(answer: dict[str, Any]) -> Iterator[str]:
    yield f"parameters   {answer['params_min']:>14,} to {answer['params_max']:,}"
    yield f"MACs         {answer['macs_min']:>14,} to {answer['macs_max']:,}"
    if "latency_min_ms" in answer:
        least, most, expected = (
            f"{answer[f'latency_{name}_ms']:{width}.4f}{_error(answer[f'latency_{name}_error_ms'])}"
            for name, width in (("min", ">14"), ("max", ""), ("expected", ">14"))
        )
        yield f"latency      {least} to {most} ms, predicted for {answer['target']}"
        yield f"expected     {expected} ms where all candidates are as likely as each other"
        if answer["fastest"] is not None:
            yield f"the fastest network is in {answer['fastest']}"
