"""`use`: one tree out of a file and the files it brings in.

Blocks, constants and targets of a used file come in, as `lib.name` where it is used `as lib`; its spaces,
searches and recipes stay behind. A file that is used twice comes in once. Reading is the caller's: this
module knows text alone.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeAlias

from dsl import syntax
from dsl.diagnostic import Diagnostic, DiagnosticError
from dsl.parser import parse
from dsl.source import Source
from dsl.syntax import File, Item

MAXIMUM_FILES = 64

Read: TypeAlias = Callable[[str], Source]
"""Gives the source at a path; raises OSError where there is none, DiagnosticError where it is no text."""


def link(file: File, read: Read) -> tuple[File, list[Diagnostic]]:
    """The file with the items it uses in place of each `use`, and what is wrong with the files used.

    Paths are relative to the file that names them, with `/`. A `use` that fails stays in the tree, so that
    `check` does not call the names unknown that it would have brought.
    """
    if not file.select(syntax.Use):
        return file, []
    linker = _Linker(read)
    items = linker.items(file, (posixpath.normpath(file.span.source.name),))
    return replace(file, items=tuple(items)), linker.found


class _Linker:
    """Reads each file once; `linked` holds what a used file brings, or None where it failed."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self.found: list[Diagnostic] = []
        self.linked: dict[str, list[Item] | None] = {}

    def items(self, file: File, chain: tuple[str, ...]) -> list[Item]:
        """The items of a file behind those it uses; `chain` are the paths being used, outermost first."""
        brought: list[Item] = []
        for use in file.select(syntax.Use):
            # A file that two used files share comes through both: the same objects, once.
            brought += [
                each for each in self._brought(use, chain) if all(each is not other for other in brought)
            ]
        dotted = frozenset(name for each in brought if "." in (name := _name(each)))
        own = [item for item in file.items if not isinstance(item, syntax.Use)]
        return [*brought, *(_rewritten(item, lambda node: _joined(node, dotted)) for item in own)]

    def _brought(self, use: syntax.Use, chain: tuple[str, ...]) -> list[Item]:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(chain[-1]), use.path.value))
        if path in chain:
            circle = " -> ".join([*chain[chain.index(path) :], path])
            self.found.append(Diagnostic("E0150", "files use each other in a circle", use.span, circle))
            return [use]
        if path not in self.linked:
            self.linked[path] = self._linked(path, use, chain)
        items = self.linked[path]
        if items is None:
            return [use]
        return items if use.name is None else _prefixed(items, f"{use.name}.")

    def _linked(self, path: str, use: syntax.Use, chain: tuple[str, ...]) -> list[Item] | None:
        # Counted before it is read: a chain of files has no end that would count them.
        self.linked[path] = None
        if len(self.linked) > MAXIMUM_FILES:
            message = f"more than {MAXIMUM_FILES} files are used"
            self.found.append(Diagnostic("E0152", message, use.span, "bring some of them together"))
            return None
        file = self._parsed(path, use)
        if file is None:
            return None
        kinds = syntax.Block | syntax.Constant | syntax.Target | syntax.Use
        return [item for item in self.items(file, (*chain, path)) if isinstance(item, kinds)]

    def _parsed(self, path: str, use: syntax.Use) -> File | None:
        try:
            file, spelling = parse(self.read(path))
        except DiagnosticError as error:
            self.found += error.diagnostics
            return None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            message = f"{path} cannot be read: {reason}"
            self.found.append(Diagnostic("E0151", message, use.path.span, "a path is relative to this file"))
            return None
        self.found += spelling
        return None if spelling else file


def _name(item: Item) -> str:
    return getattr(item, "name", None) or ""


def _prefixed(items: list[Item], prefix: str) -> list[Item]:
    """Items renamed, and what they say of each other with them."""
    names = frozenset(_name(item) for item in items if isinstance(item, syntax.Block | syntax.Constant))

    def renamed(node: syntax.Node) -> syntax.Node:
        if isinstance(node, syntax.Ref) and node.name in names:
            return replace(node, name=prefix + node.name)
        return node

    return [
        item
        if isinstance(item, syntax.Use)
        else replace(_rewritten(item, renamed), name=prefix + _name(item))
        for item in items
    ]


def _joined(node: syntax.Node, dotted: frozenset[str]) -> syntax.Node:
    """`lib.name` as one name, where a used file brought it."""
    if isinstance(node, syntax.Attr) and isinstance(node.base, syntax.Ref):
        name = f"{node.base.name}.{node.name}"
        return syntax.Ref(name, span=node.span) if name in dotted else node
    return node


def _rewritten(node: Any, change: Callable[[syntax.Node], syntax.Node]) -> Any:
    """A tree with `change` applied to every node, parents first; nodes without changes are kept."""
    if isinstance(node, tuple):
        parts = [_rewritten(each, change) for each in node]
        return node if all(new is old for new, old in zip(parts, node, strict=True)) else tuple(parts)
    if not isinstance(node, syntax.Node):
        return node
    node = change(node)
    changed = {}
    for field in fields(node):
        old = getattr(node, field.name)
        new = _rewritten(old, change)
        if new is not old:
            changed[field.name] = new
    return replace(node, **changed) if changed else node
