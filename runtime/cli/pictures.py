"""The command `show`: a graph as text, for other programs, or as a picture."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.cli.common import CommandError, SpaceFile, SpaceName, command
from runtime.cli.spaces import ArchitectureFile, load_architecture, load_space

if TYPE_CHECKING:
    from compiler.ir.graph import SpaceGraph
    from runtime.files import OutputKind

GRAPH_SCHEMA = "onepath.graph/1"


class Form(StrEnum):
    """The form of a graph."""

    TEXT = "text"
    DOT = "dot"
    JSON = "json"
    SVG = "svg"
    HTML = "html"


@command
def show(
    file: SpaceFile,
    space: SpaceName = None,
    arch: ArchitectureFile = None,
    flat: Annotated[bool, typer.Option("--flat", help="with decisions flattened into mixed nodes")] = False,
    form: Annotated[
        Form, typer.Option("--format", help="text reads back; dot is for Graphviz; svg and html are pictures")
    ] = Form.TEXT,
    probabilities: Annotated[
        Path | None,
        typer.Option("--probabilities", help="mark them in a picture: a run folder, or a JSON file"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="the file to write; default standard output")
    ] = None,
) -> None:
    """Show the graph of a space, or of one network of it.

    In text, dot and JSON an architecture gives its network; in a picture of the space it is marked. Pictures
    have mixed nodes wherever the space can be flattened.

    Example: onepath show examples/proxyless_mobile.space --format html --out space.html
    """
    from runtime.files import checked_output, write_atomic

    if out is not None:
        out = checked_output(out, _kind(form), inputs=[file], force=True)
    if probabilities is not None and form not in (Form.SVG, Form.HTML):
        raise CommandError("--probabilities marks a picture; add `--format svg` or `--format html`")
    original = load_space(file, space)
    if form in (Form.SVG, Form.HTML):
        text = _picture(file, original, arch, probabilities, form)
    else:
        text = _graph(original, arch, flat, form)
    if out is None:
        print(text, end="")
    else:
        write_atomic(out, text)


def _kind(form: Form) -> OutputKind:
    """The files that a new one of this form may replace."""
    from runtime.files import HTML, SVG, OutputKind, json_kind

    match form:
        case Form.TEXT:
            return OutputKind("a graph as text", re.compile(rb"\s*(space|network)\b"))
        case Form.DOT:
            return OutputKind("a graph for Graphviz", re.compile(rb"\s*digraph\b"))
        case Form.JSON:
            return json_kind("a graph", GRAPH_SCHEMA)
        case Form.SVG:
            return replace(SVG, suffix="")
        case Form.HTML:
            return HTML


def _graph(original: SpaceGraph, arch: Path | None, flat: bool, form: Form) -> str:
    from compiler.derive import derive
    from compiler.ir.picture import to_dot, to_json
    from compiler.ir.text import print_network, print_space
    from compiler.passes.pipeline import run_passes

    graph = run_passes(original) if flat else original
    if arch is not None:
        network = derive(graph, load_architecture(arch, original).choices)
        text, root = print_network(network), network.graph
    else:
        text, root = print_space(graph), graph.graph
    if form is Form.TEXT:
        return text
    if form is Form.DOT:
        return to_dot(graph.name, root)
    payload = {"schema": GRAPH_SCHEMA, "name": graph.name, "graph": to_json(root)}
    return json.dumps(payload, indent=2, ensure_ascii=False) + "\n"


def _picture(
    file: Path, original: SpaceGraph, arch: Path | None, probabilities: Path | None, form: Form
) -> str:
    from compiler.picture.marks import Marks, fit_shares
    from runtime.picture.figure import figure_of, flattened
    from runtime.picture.page import html_of, svg_of
    from runtime.picture.probabilities import read_probabilities

    choices = None if arch is None else load_architecture(arch, original).choices
    given = None if probabilities is None else read_probabilities(probabilities, original.name)
    shown, why = flattened(original)
    marks = Marks(choices, fit_shares(shown.graph, given.shares) if given else {})
    figure = figure_of(original, shown, marks, [*([given.source] if given else []), *([why] if why else [])])
    return svg_of(figure) if form is Form.SVG else html_of(figure, marks, file.name)
