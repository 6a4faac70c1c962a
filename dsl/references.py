"""Which definition each name of one file refers to, and where every name stands.

It reads the tree of a single file, before it is linked, so that spans are those of the text in front of the
writer. A name of another file is left open: `dsl.project` finds it there. Names of decisions (`as`, labels)
are no definitions: nothing in a file refers to them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal, TypeAlias

from dsl import syntax
from dsl.source import Span

Kind: TypeAlias = Literal[
    "block", "parameter", "binding", "index", "input", "constant", "target", "space", "file"
]
Namespace: TypeAlias = Literal["value", "target", "space"]
"""Targets and spaces have names of their own; all the others share one set."""


@dataclass(frozen=True, slots=True)
class Definition:
    """Where a name is made: `span` is the name's own, `scope` the text in which it is known."""

    kind: Kind
    name: str
    span: Span
    scope: Span = field(compare=False, repr=False)
    node: syntax.Node = field(compare=False, repr=False)

    @property
    def namespace(self) -> Namespace:
        """The set of names that it belongs to."""
        return self.kind if self.kind == "target" or self.kind == "space" else "value"


@dataclass(frozen=True, slots=True)
class Foreign:
    """A name that the file does not define: `mbconv`, `lib.mbconv`; or that callee's parameter."""

    name: str
    namespace: Namespace = "value"
    parameter: str | None = None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A name where it stands. `meaning` is None for a parameter of what only a caller knows."""

    name: str
    span: Span
    meaning: Definition | Foreign | None

    @property
    def is_definition(self) -> bool:
        """Whether the name is made here."""
        return isinstance(self.meaning, Definition) and self.meaning.span == self.span


@dataclass(frozen=True)
class Names:
    """The names of one file; `occurrences` in the order of the text, definitions among them."""

    file: syntax.File
    definitions: tuple[Definition, ...]
    occurrences: tuple[Occurrence, ...]

    @cached_property
    def _starts(self) -> list[int]:
        return [each.span.start for each in self.occurrences]

    def at(self, offset: int) -> Occurrence | None:
        """The name that holds an offset, or ends there."""
        index = bisect_right(self._starts, offset) - 1
        found = self.occurrences[index] if index >= 0 else None
        return found if found is not None and offset <= found.span.end else None

    def parameter(self, block: Definition, name: str) -> Definition | None:
        """A block's parameter by name."""
        return self._parameters.get((block.node.span, name))

    @cached_property
    def _parameters(self) -> dict[tuple[Span, str], Definition]:
        return {(each.scope, each.name): each for each in self.definitions if each.kind == "parameter"}


def names_of(file: syntax.File) -> Names:
    """Every name of a file, with what it refers to."""
    walk = _Walk(file)
    walk.file()
    occurrences = {each.span.start: each for each in walk.occurrences}
    ordered = tuple(occurrences[start] for start in sorted(occurrences))
    return Names(file, tuple(walk.definitions), ordered)


def children(node: object) -> Iterator[syntax.Node]:
    """The nodes right below a node, in the order of its fields."""
    parts: tuple[Any, ...] = (
        node if isinstance(node, tuple) else tuple(getattr(node, each.name) for each in fields(node))  # type: ignore[arg-type]
    )
    for part in parts:
        if isinstance(part, syntax.Node):
            yield part
        elif isinstance(part, tuple):
            yield from children(part)


def enclosing(file: syntax.File, offset: int) -> list[syntax.Node]:
    """The nodes around an offset, outermost first; a node holds the place right behind it, too."""
    chain: list[syntax.Node] = []
    below: list[syntax.Node] = [file]
    while below:
        # Of two nodes that meet at the offset, the one that starts there.
        chain.append(max(below, key=lambda each: each.span.start))
        below = [each for each in children(chain[-1]) if each.span.start <= offset <= each.span.end]
    return chain


Scope: TypeAlias = ChainMap[str, Definition]
Places: TypeAlias = Mapping[tuple[Namespace, str], Definition]


class _Walk:
    """Collects definitions and occurrences; each scope is the names of one pair of braces before those around it."""

    def __init__(self, file: syntax.File) -> None:
        self.root = file
        self.definitions: list[Definition] = []
        self.occurrences: list[Occurrence] = []
        self.parameters: dict[Definition, dict[str, Definition]] = {}

    def define(self, kind: Kind, name: str, span: Span | None, scope: Span, node: syntax.Node) -> Definition:
        """Record a definition and the occurrence that it is."""
        made = Definition(kind, name, span or node.span, scope, node)
        self.definitions.append(made)
        self.occur(name, made.span, made)
        return made

    def occur(self, name: str, span: Span, meaning: Definition | Foreign | None) -> None:
        self.occurrences.append(Occurrence(name, span, meaning))

    def file(self) -> None:
        """Globals first: blocks call each other in any order."""
        scope: Scope = ChainMap()
        places: dict[tuple[Namespace, str], Definition] = {}
        for item in self.root.items:
            made = self._global(item)
            if made is not None:
                places.setdefault((made.namespace, made.name), made)
                if made.namespace == "value":
                    scope.setdefault(made.name, made)
        for block in [each for each in self.definitions if each.kind == "block"]:
            self._define_parameters(block)
        blocks = {each.node.span: own for each, own in self.parameters.items()}
        for item in self.root.items:
            self._item(item, scope.new_child(blocks.get(item.span)), places)

    def _global(self, item: syntax.Item) -> Definition | None:
        if isinstance(item, syntax.Search | syntax.Train) or item.name is None:
            return None
        kinds: dict[type, Kind] = {syntax.Use: "file"}
        kind: Kind = kinds.get(type(item)) or type(item).__name__.lower()  # type: ignore[assignment]
        return self.define(kind, item.name, item.name_span, self.root.span, item)

    def _define_parameters(self, block: Definition) -> None:
        assert isinstance(block.node, syntax.Block)
        own = self.parameters.setdefault(block, {})
        for param in block.node.params:
            made = self.define("parameter", param.name, param.name_span, block.node.span, param)
            own.setdefault(param.name, made)

    def _item(self, item: syntax.Item, scope: Scope, places: Places) -> None:
        """What stands in an item; `scope` holds a block's parameters."""
        match item:
            case syntax.Constant():
                self.node(item.value, scope)
            case syntax.Block():
                for param in item.params:
                    if param.default is not None:
                        self.node(param.default, scope)
                self.node(item.body, scope)
            case syntax.Space():
                self._space(item, scope)
                self._caps(item.requires, scope, places)
            case syntax.Search() | syntax.Train():
                span = item.name_span or item.span
                meaning = places.get(("space", item.space)) or Foreign(item.space, "space")
                self.occur(item.space, span, meaning)
                if isinstance(item, syntax.Search):
                    self._caps(item.caps, ChainMap(), places)
            case _:
                pass

    def _space(self, space: syntax.Space, scope: Scope) -> None:
        own = scope.new_child()
        for size in (size for each in (*space.inputs, *space.outputs) for size in each.dimensions):  # type: ignore[attr-defined]
            self.node(size, scope)
        for each in space.inputs:
            if each.name is not None:
                own[each.name] = self.define("input", each.name, each.name_span, space.span, each)
        self.node(space.body, own)

    def _caps(self, caps: tuple[syntax.Cap, ...], scope: Scope, places: Places) -> None:
        for cap in caps:
            self.node(cap.limit, scope)
            if cap.target is None or cap.target_span is None:
                continue
            alias, dot, _ = cap.target.partition(".")
            if dot:
                start = cap.target_span.start
                span = cap.target_span.source.span(start, start + len(alias))
                self.occur(alias, span, places.get(("value", alias)) or Foreign(alias))
            meaning = places.get(("target", cap.target)) or Foreign(cap.target, "target")
            name = cap.target.rpartition(".")[2]
            self.occur(name, _end_of(cap.target_span, name), meaning)

    def node(self, node: syntax.Node, scope: Scope) -> None:
        """Names in wiring and values."""
        match node:
            case syntax.Ref():
                self.occur(node.name, node.span, self._meaning(node, scope))
            case syntax.Attr():
                self.node(node.base, scope)
                if self._is_file(node, scope):
                    self.occur(node.name, _end_of(node.span, node.name), self._meaning(node, scope))
            case syntax.Call():
                self._call(node, scope)
            case syntax.Body():
                self._body(node, scope)
            case syntax.Repeat():
                self.node(node.count, scope)
                inner = scope.new_child()
                if node.index is not None:
                    inner[node.index] = self.define("index", node.index, node.name_span, node.body.span, node)
                self.node(node.body, inner)
            case _:
                for child in children(node):
                    self.node(child, scope)

    def _body(self, body: syntax.Body, scope: Scope) -> None:
        """Every binding is known in the whole body, so that one used too early is still found."""
        own = scope.new_child()
        for each in body.bindings:
            own[each.name] = self.define("binding", each.name, each.name_span, body.span, each)
        for statement in body.statements:
            self.node(statement.value if isinstance(statement, syntax.Bind) else statement, own)

    def _call(self, node: syntax.Call, scope: Scope) -> None:
        self.node(node.callee, scope)
        callee = self._meaning(node.callee, scope)
        for arg in node.args:
            if arg.name is not None and arg.name_span is not None:
                self.occur(arg.name, arg.name_span, self._parameter(callee, arg.name))
            self.node(arg.value, scope)

    def _parameter(self, callee: Definition | Foreign | None, name: str) -> Definition | Foreign | None:
        if isinstance(callee, Foreign):
            return Foreign(callee.name, parameter=name)
        return self.parameters.get(callee, {}).get(name) if callee is not None else None

    def _meaning(self, node: syntax.Ref | syntax.Attr, scope: Scope) -> Definition | Foreign | None:
        if isinstance(node, syntax.Ref):
            return scope.get(node.name) or Foreign(node.name)
        return Foreign(f"{node.base.name}.{node.name}") if self._is_file(node, scope) else None  # type: ignore[union-attr]

    def _is_file(self, node: syntax.Attr, scope: Scope) -> bool:
        """Whether an attribute is a name of a used file."""
        base = scope.get(node.base.name) if isinstance(node.base, syntax.Ref) else None
        return base is not None and base.kind == "file"


def _end_of(span: Span, name: str) -> Span:
    """The last part of a dotted name."""
    return span.source.span(span.end - len(name), span.end)
