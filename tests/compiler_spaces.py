"""Spaces for the compiler's tests: those that ship, and small ones from text."""

from __future__ import annotations

import textwrap
from pathlib import Path

from compiler.frontend import analyse, space_of
from compiler.ir.graph import SpaceGraph
from dsl.source import Source

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SHIPPED = tuple(sorted(path.stem for path in EXAMPLES.glob("*.space")))

SEARCHABLE = tuple(
    name for name in SHIPPED if name not in ("nats_bench_size", "path_tree", "small_vit", "darts")
)
"""Those that a supernet can hold; DARTS is one of them, but its 19,600 candidates take too long for a test."""


def shipped(name: str) -> SpaceGraph:
    """A space that ships."""
    path = EXAMPLES / f"{name}.space"
    return space_of(Source(path.name, path.read_text(encoding="utf-8")))


def space(body: str, shape: str = "[3, 8, 8]", before: str = "") -> SpaceGraph:
    """A space with this body."""
    return space_of(Source("test.space", written(body, shape, before)))


def written(body: str, shape: str = "[3, 8, 8]", before: str = "") -> str:
    """The text of a file with one space of ten classes; a body that ends in a pool gets its last layer."""
    body = textwrap.dedent(body).strip()
    body += " -> linear(10)" if body.endswith("global_pool") else ""
    inner = textwrap.indent(body, "    ")
    return f"{textwrap.dedent(before)}\nspace it {{\n    input {shape}\n    output [10]\n{inner}\n}}\n"


def codes(text: str) -> list[tuple[str, int, int]]:
    """Code, line and column of each diagnostic of a text."""
    return [(each.code, each.span.line, each.span.column) for each in analyse(Source("test.space", text))[1]]
