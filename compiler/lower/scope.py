"""Where lowering stands: the graph being filled, the place names are drawn from, and what names mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from compiler.ir.expression import Value
from compiler.ir.graph import INPUT, Decision, Graph, GraphBuilder, Node
from compiler.ir.types import TensorType
from compiler.lower.place import Bound, Place
from dsl.diagnostic import Note
from dsl.source import Span


class Problem(Exception):
    """A mistake in the user's file, before it is dressed as a diagnostic."""

    def __init__(
        self, code: str, message: str, span: Span, hint: str | None = None, notes: tuple[Note, ...] = ()
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.span, self.hint, self.notes = code, message, span, hint, notes


class Exhausted(Problem):
    """A cap on the size of a space: lowering ends there, with this one diagnostic."""


class Poisoned(Exception):
    """Something reads a value whose own mistake was reported already."""


@dataclass(frozen=True)
class Poison:
    """The value of what went wrong: whoever reads it stays silent."""


POISON: Final = Poison()


@dataclass(frozen=True)
class Function:
    """A reference to a block, an operator or a function of values."""

    name: str


@dataclass(frozen=True)
class Tensor:
    """A value of the network: a node of the graph that `scope` fills."""

    name: str
    type: TensorType
    scope: Scope = field(compare=False, repr=False)


Meaning = Value | Function | Tensor | Poison
"""What a name or an expression of the file can mean."""


class Scope:
    """One graph being filled. A value of an enclosing graph enters as an input, once."""

    def __init__(self, around: Scope | None = None) -> None:
        self.builder = GraphBuilder()
        self.captured: dict[str, Tensor] = {}
        self.around = around
        self._certain: set[str] = set()

    def declare(self, decision: Decision) -> None:
        """Record a decision that is made where this graph is reached, unless a graph around it says so already."""
        if not self._is_certain(decision.path):
            self.builder.declare(decision)
            if decision.condition is True:
                self._certain.add(decision.path)

    def _is_certain(self, path: str) -> bool:
        return path in self._certain or (self.around is not None and self.around._is_certain(path))

    def enter(self, tensor: Tensor) -> Tensor:
        """`tensor` as a value of this graph; it keeps its name."""
        if tensor.scope is self:
            return tensor
        if tensor.name not in self.captured:
            self.builder.add(Node(tensor.name, INPUT, (), tensor.type))
            self.captured[tensor.name] = tensor
        return Tensor(tensor.name, tensor.type, self)

    def close(self, output: Tensor, operands: tuple[Tensor, ...]) -> Graph:
        """The graph, its inputs exactly `operands` in that order."""
        entered = [self.enter(operand).name for operand in operands]
        graph = self.builder.build(self.enter(output).name)
        rest = tuple(node for node in graph.nodes if node.op != INPUT)
        return Graph((*[graph[name] for name in entered], *rest), graph.output, graph.decisions)


@dataclass(frozen=True)
class Context:
    """What an expression sees: the value that entered its braces, its names, and how it came to be called.

    `here` is what `in` means; `piped` is the value that reaches a step, where that is another one.
    `label` names a decision that the expression makes, and `bound` is the place of the name that its value is
    bound to; `calls` are the block calls around it, outermost
    first; `instance` says that the next block called is this place itself (a candidate that is one call);
    `assuming` is what the decisions must be for this place to be reached; `when` is the part of it that the
    graph around does not say: the conditions of `if … then … else`.
    """

    scope: Scope
    here: Tensor | Poison | None
    names: Mapping[str, Meaning]
    place: Place
    label: str | None = None
    bound: Bound | None = None
    calls: tuple[tuple[str, Span], ...] = ()
    instance: bool = False
    assuming: Value = True
    piped: Tensor | Poison | None = None
    when: Value = True

    def but(self, **changes: Any) -> Context:
        """This context with some fields changed; `dataclasses.replace` takes a fifth of all of lowering's time."""
        changed = object.__new__(Context)
        changed.__dict__.update(self.__dict__, **changes)
        return changed

    @property
    def home(self) -> Place:
        """The place of what is called or chosen here: that of the bound name, if the value is bound to one."""
        return self.bound.place if self.bound and self.bound.name == self.label else self.place

    @property
    def aside(self) -> Context:
        """For arguments, conditions and counts, which belong to the braces around them and not to the pipe."""
        return self if self.piped is None else self.but(piped=None)

    @property
    def inside(self) -> Context:
        """For a body: the value that reaches it is what `in` means there."""
        return self.but(here=self.piped or self.here, piped=None, label=None, bound=None)

    def within(self, place: Place, instance: bool = False) -> Context:
        """For braces at a place of their own."""
        return self.but(place=place, label=None, bound=None, instance=instance)
