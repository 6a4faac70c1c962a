"""Names: what each means at a place of a file, without evaluating anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from dsl.signature import FUNCTIONS, Signature, of_block
from dsl.source import Span
from dsl.syntax import Block, Constant, File, Space, Target, Use

Kind: TypeAlias = Literal["tensor", "value", "reference", "unknown"]
HOST = "host"
"""The target that every file has: the machine Onepath runs on."""


@dataclass
class Local:
    """A parameter, a binding, an input or an index; `kind` is `unknown` for what a caller decides."""

    name: str
    kind: Kind
    span: Span
    read: bool = False


@dataclass(frozen=True)
class Globals:
    """What every body of a file sees; `lost` are names whose definition has a syntax error.

    `bound_in` has the space of each name that is bound in one, which no block sees.

    With `open_world` the file has a `use` that is not linked, and an unknown name may be from there.
    """

    callables: Mapping[str, Signature]
    constants: Mapping[str, Span]
    targets: frozenset[str]
    lost: frozenset[str] = frozenset()
    bound_in: Mapping[str, str] = field(default_factory=dict)
    open_world: bool = False

    def forgives(self, name: str) -> bool:
        """Whether an unknown name may well be known once other mistakes are put right."""
        return self.open_world or name in self.lost


def globals_of(file: File, operators: Mapping[str, Signature], lost: frozenset[str]) -> Globals:
    """The names at the top of a file."""
    blocks = {block.name: of_block(block) for block in file.select(Block)}
    return Globals(
        {**blocks, **FUNCTIONS, **operators},
        {each.name: each.name_span or each.span for each in file.select(Constant)},
        frozenset([HOST, *(target.name for target in file.select(Target))]),
        lost,
        {each.name: space.name for space in file.select(Space) for each in space.body.bindings},
        bool(file.select(Use)),
    )


@dataclass
class Scope:
    """The names of one pair of braces, inside those around it; `has_in` says whether a value enters it."""

    has_in: bool
    parent: Scope | None = None
    locals: dict[str, Local] = field(default_factory=dict)
    # Names bound further down in these braces, to tell use before binding from an unknown name.
    later: Mapping[str, Span] = field(default_factory=dict)

    def find(self, name: str) -> Local | None:
        """The innermost local of a name."""
        if name in self.locals:
            return self.locals[name]
        return self.parent.find(name) if self.parent is not None else None

    def bound_later(self, name: str) -> Span | None:
        """Where a name that is not bound yet will be."""
        if name in self.later:
            return self.later[name]
        return self.parent.bound_later(name) if self.parent is not None else None

    def visible(self) -> list[str]:
        """Every local that can be named here."""
        return [*self.locals, *(self.parent.visible() if self.parent is not None else [])]
