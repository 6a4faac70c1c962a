"""Syntax tree to space graph: expands blocks, evaluates constants, infers types, keeps source spans."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from compiler.ir.expression import Value, normal
from compiler.ir.graph import INPUT, Limit, Node, SpaceGraph
from compiler.ir.ops import SIZE_CAP
from compiler.ir.types import TensorType
from compiler.lower import values
from compiler.lower.expressions import Report
from compiler.lower.place import Place
from compiler.lower.prelude import is_prelude
from compiler.lower.scope import POISON, Context, Meaning, Poisoned, Problem, Scope, Tensor
from compiler.lower.values import as_tensor
from compiler.lower.wiring import Wiring
from dsl import syntax
from dsl.diagnostic import Diagnostic, DiagnosticError, Note, has_errors, in_order
from dsl.limits import MAXIMUM_PROBLEMS
from dsl.source import Span
from dsl.suggest import listed
from dsl.units import dimension, in_units_of

METRICS = ("macs", "params", "peak_memory", "latency")


Make = Callable[[Mapping[str, syntax.Block], Mapping[str, Meaning], Report], Wiring]
"""Makes what lowers a file: `Wiring`, or one that watches as well."""
_MOST_CALLS = 4
FRAMES = 20_000
"""Python frames that lowering may take: 64 nested calls of blocks, each with expressions 128 levels deep."""


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Allow the recursion that the caps on nesting and on calls bound."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@dataclass
class _Lowering:
    """Collects diagnostics while one file is lowered."""

    file: syntax.File
    found: list[Diagnostic] = field(default_factory=list)
    make: Make = Wiring

    def report(self, problem: Problem, context: Context | None = None) -> None:
        notes = (*problem.notes, *_chain(context.calls if context else ()))
        diagnostic = _of_users_file(
            Diagnostic(problem.code, problem.message, problem.span, problem.hint, notes)
        )
        place = (diagnostic.code, diagnostic.span.source.name, diagnostic.span.start)
        if len(self.found) < MAXIMUM_PROBLEMS and place not in {
            (d.code, d.span.source.name, d.span.start) for d in self.found
        }:
            self.found.append(diagnostic)

    def wiring(self) -> Wiring:
        wiring = self.make({b.name: b for b in self.file.select(syntax.Block)}, {}, self.report)
        outside = Context(Scope(), None, {}, Place())
        # A constant sees those above it: the names that are there so far.
        constants: dict[str, Meaning] = {}
        wiring.names = constants
        for constant in self.file.select(syntax.Constant):
            constants[constant.name] = wiring.bound(constant.value, outside)
            if outside.scope.builder.decided:
                message = "a constant of the file holds no decision"
                hint = "bind it in the space, or give it as an argument"
                self.report(Problem("E0303", message, constant.value.span, hint))
                constants[constant.name] = POISON
                outside = outside.but(scope=Scope())
        return wiring

    def space(self, space: syntax.Space) -> SpaceGraph | None:
        try:
            with deep_recursion():
                return self._space(space)
        except Problem as problem:
            self.report(problem)
        except Poisoned:
            pass
        return None

    def _space(self, space: syntax.Space) -> SpaceGraph:
        wiring, scope, place = self.wiring(), Scope(), Place()
        outside = Context(scope, None, {}, place)
        if not space.inputs:
            raise Problem("E0140", "a space has an `input`", space.span)
        inputs = [self._input(each, wiring, outside) for each in space.inputs]
        names = {i.name: tensor for i, tensor in zip(space.inputs, inputs, strict=True) if i.name}
        result = wiring.body(
            space.body, Context(scope, inputs[0] if len(inputs) == 1 else None, names, place)
        )
        limits = tuple(self._limit(cap, wiring, outside) for cap in space.requires)
        output = as_tensor(result, space.span)
        self._check_output(space, output, wiring, outside)
        return SpaceGraph(space.name, scope.close(output, tuple(inputs)), limits)

    def _input(self, node: syntax.Input, wiring: Wiring, outside: Context) -> Tensor:
        sizes = self._sizes(node.dimensions, wiring, outside)
        if not 1 <= len(sizes) <= 3:
            hint = "leave out the batch: write `[channels, height, width]`" if len(sizes) == 4 else None
            raise Problem("E0322", "an input has one to three dimensions", node.span, hint)
        name = outside.place.node(node.name or "input")
        type_ = TensorType(sizes)
        outside.scope.builder.add(Node(name, INPUT, (), type_, span=node.span))
        return Tensor(name, type_, outside.scope)

    def _sizes(self, nodes: Sequence[syntax.Expr], wiring: Wiring, outside: Context) -> tuple[Value, ...]:
        return tuple(values.as_count(wiring.value(n, outside), n.span, "a size", SIZE_CAP) for n in nodes)

    def _check_output(self, space: syntax.Space, output: Tensor, wiring: Wiring, outside: Context) -> None:
        for declared in space.outputs:
            wanted = TensorType(self._sizes(declared.dimensions, wiring, outside))
            if wanted != output.type:
                message = f"the space gives {output.type}, its `output` says {wanted}"
                last = space.body.result.steps[-1].span if space.body.result else space.span
                notes = (Note(f"this gives {output.type}", last),)
                raise Problem("E0323", message, declared.span, notes=notes)

    def _limit(self, cap: syntax.Cap, wiring: Wiring, outside: Context) -> Limit:
        if cap.metric not in METRICS:
            hint = f"there are the caps {listed(METRICS, 'and')}"
            raise Problem("E0142", f"nothing measured is named `{cap.metric}`", cap.span, hint)
        return Limit(cap.metric, cap.relation, _bound(cap, wiring, outside), cap.target)  # type: ignore[arg-type]


_BASE_UNITS = {
    "macs": ("count", ""),
    "params": ("count", ""),
    "peak_memory": ("bytes", ""),
    "latency": ("time", "ms"),
}


def _chain(calls: Sequence[tuple[str, Span]]) -> list[Note]:
    """The calls that lead to a place, innermost first: few of them, each place once, the outermost always."""
    places = dict.fromkeys(reversed(calls))
    notes = [Note(f"in this call of `{name}`", span) for name, span in places]
    return notes if len(notes) <= _MOST_CALLS else [*notes[: _MOST_CALLS - 1], notes[-1]]


def _of_users_file(diagnostic: Diagnostic) -> Diagnostic:
    """A mistake inside the prelude is one of the call that leads there."""
    calls = [note for note in diagnostic.notes if not is_prelude(note.span.source)]
    if not is_prelude(diagnostic.span.source) or not calls:
        return diagnostic
    inside = Note("inside this block of the prelude", diagnostic.span)
    return replace(diagnostic, span=calls[0].span, notes=(inside, *calls[1:]))


def _bound(cap: syntax.Cap, wiring: Wiring, outside: Context) -> Value:
    """The limit in the metric's own unit: ones, bytes, milliseconds."""
    wanted, base = _BASE_UNITS[cap.metric]
    if isinstance(cap.limit, syntax.Quantity):
        if dimension(cap.limit) != wanted:
            raise Problem("E0144", f"`{cap.limit.unit}` is not a unit of `{cap.metric}`", cap.limit.span)
        return normal(in_units_of(cap.limit, base))
    if cap.metric == "latency":
        raise Problem("E0144", "a latency needs a unit", cap.limit.span, "write `8 ms`")
    return values.as_constant(wiring.value(cap.limit, outside), cap.limit.span, "a limit")


def lower(file: syntax.File, space: str | None = None) -> SpaceGraph:
    """The graph of the space named `space`, or of the only one.

    Raises:
        DiagnosticError: the file has errors, or no such space.
    """
    chosen = space_named(file, space)
    lowering = _Lowering(file)
    graph = lowering.space(chosen)
    if graph is None or has_errors(lowering.found):
        raise DiagnosticError(in_order(lowering.found))
    return graph


def space_named(file: syntax.File, space: str | None) -> syntax.Space:
    """The space of this name, or the only one of the file.

    Raises:
        DiagnosticError: there is none, or there are several.
    """
    spaces = {each.name: each for each in file.select(syntax.Space)}
    if not spaces or (space is None and len(spaces) > 1) or (space is not None and space not in spaces):
        raise DiagnosticError([_no_such_space(file, list(spaces), space)])
    return spaces[space] if space else next(iter(spaces.values()))


def _no_such_space(file: syntax.File, known: Sequence[str], space: str | None) -> Diagnostic:
    if not known:
        return Diagnostic("E0325", "the file has no space", file.span, "write `space name { … }`")
    problem = "the file has several spaces" if space is None else f"no space is named `{space}`"
    hint = f"choose one with `--space NAME`: {listed([f'`{name}`' for name in known])}"
    return Diagnostic("E0325", problem, file.span, hint)


def lower_all(file: syntax.File, make: Make = Wiring) -> tuple[dict[str, SpaceGraph], list[Diagnostic]]:
    """The graph of every space of the file that is sound, by name, and what is wrong with the others."""
    lowering = _Lowering(file, make=make)
    graphs = {space.name: lowering.space(space) for space in file.select(syntax.Space)}
    if not graphs:
        lowering.wiring()
    return {name: graph for name, graph in graphs.items() if graph is not None}, in_order(lowering.found)
