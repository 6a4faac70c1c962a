"""The prelude: blocks written in the language that every file may call, brought in where a file names them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files

from dsl import syntax
from dsl.parser import parsed
from dsl.source import Source

_NAME = "prelude.space"
NAMES = frozenset({"separable", "squeeze_excite", "self_attention", "mlp", "transformer_layer"})
"""The blocks of the prelude: a file that names none of them does not pay for reading it."""


def with_prelude(file: syntax.File) -> syntax.File:
    """The file with the blocks of the prelude that it names and does not define, and those that these call."""
    named = {name for name in NAMES if _mentions(file, name)}
    if not named:
        return file
    wanted = named & set(_read(file)) - set(_defined(file))
    while more := {name for each in wanted for name in _read(blocks()[each])} & NAMES - wanted:
        wanted |= more
    return replace(file, items=(*file.items, *[blocks()[name] for name in sorted(wanted)]))


def _mentions(file: syntax.File, name: str) -> bool:
    texts = {id(item.span.source): item.span.source.text for item in file.items}
    return any(re.search(rf"\b{name}\b", text) for text in texts.values())


@cache
def blocks() -> Mapping[str, syntax.Block]:
    """The blocks by name."""
    text = files("compiler.lower").joinpath(_NAME).read_text(encoding="utf-8")
    return {block.name: block for block in parsed(Source(_NAME, text)).select(syntax.Block)}


def is_prelude(source: Source) -> bool:
    """Whether a source is the prelude's."""
    return source.name == _NAME


def _read(node: syntax.Node) -> Iterator[str]:
    """The bare names that are read in a tree."""
    return (each.name for each in _nodes(node) if isinstance(each, syntax.Ref))


def _defined(file: syntax.File) -> Iterator[str]:
    """The names that a file binds anywhere."""
    for each in _nodes(file):
        if isinstance(each, syntax.Block | syntax.Constant | syntax.Param | syntax.Bind | syntax.Input):
            yield each.name or ""
        elif isinstance(each, syntax.Repeat):
            yield each.index or ""


def _nodes(root: syntax.Node) -> Iterator[syntax.Node]:
    # Imported here: most files name no block of the prelude.
    from dsl.references import children

    pending = [root]
    while pending:
        yield (each := pending.pop())
        pending += children(each)
