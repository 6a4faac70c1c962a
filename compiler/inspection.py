"""What one place of a text comes to in the expanded spaces: every value, type and operator that it stands for.

A block that is called eleven times is written once. Lowering passes over its text eleven times, and a probe
that lowers as `Wiring` does writes down what it sees there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from compiler.bounds import Item
from compiler.ir.expression import Apply, Value
from compiler.ir.graph import INPUT, SELECT
from compiler.ir.types import TensorType
from compiler.lower import lower_all
from compiler.lower.scope import Context, Meaning, Tensor
from compiler.lower.wiring import Wiring
from dsl import syntax
from dsl.references import Definition
from dsl.source import Span

SIGHTS_CAP = 10_000
"""Places that are written down; those beyond are passed over."""


@dataclass(frozen=True)
class Focus:
    """What to look at: an expression or a body by its span; with `name`, what that is bound to in the body."""

    span: Span
    kind: type[syntax.Node]
    name: str | None = None


@dataclass(frozen=True)
class Sight:
    """One place of the expanded spaces: what came in and out, what it added, and when it is reached at all."""

    meaning: Meaning
    operands: tuple[TensorType, ...] = ()
    items: tuple[Item, ...] = ()
    assuming: tuple[Value, ...] = ()


def focus_on(node: syntax.Node) -> Focus | None:
    """The focus on what a node of the tree comes to; None for what lowering does not evaluate."""
    if isinstance(node, syntax.Block):
        return Focus(node.body.span, syntax.Body)
    return Focus(node.span, type(node)) if isinstance(node, _EVALUATED) else None


def focus_on_name(definition: Definition) -> Focus | None:
    """The focus on what a name is bound to; None where that is no value."""
    node = definition.node
    if isinstance(node, syntax.Bind | syntax.Constant):
        return Focus(node.value.span, type(node.value))
    if definition.kind == "index" and isinstance(node, syntax.Repeat):
        return Focus(node.body.span, syntax.Body, definition.name)
    if definition.kind in ("parameter", "input"):
        # The scope of a parameter is its block, whose body ends with it; that of an input its space.
        return Focus(definition.scope, syntax.Block, definition.name)
    return None


_EVALUATED = (
    *(syntax.Ref, syntax.Attr, syntax.In, syntax.Call, syntax.Named, syntax.Pipe),
    *(syntax.Unary, syntax.Binary, syntax.Compare, syntax.Logic, syntax.Pick),
    *(syntax.ChooseValue, syntax.ChooseValues, syntax.ChoosePath, syntax.MergeCall, syntax.MergeBranches),
    *(syntax.MergeSubset, syntax.If, syntax.Repeat, syntax.Residual),
)


def inspect(file: syntax.File, focus: Focus) -> list[Sight]:
    """Every place of a linked file's spaces that the focus is on, in the order in which they are lowered.

    A file with mistakes gives what can be lowered of it.
    """
    sights: list[Sight] = []
    lower_all(file, partial(_Probe, focus=focus, sights=sights))
    # A bare name is looked up and then applied: as a step it is what it makes, not the function that it names.
    tensors = [each for each in sights if isinstance(each.meaning, Tensor)]
    return tensors if tensors and focus.kind in (syntax.Ref, syntax.Attr) else sights


@dataclass
class _Probe(Wiring):
    """Lowers, and writes down what it sees at its focus."""

    focus: Focus = field(kw_only=True)
    sights: list[Sight] = field(kw_only=True)

    def value(self, node: syntax.Expr, context: Context) -> Meaning:
        before = len(context.scope.builder)
        meaning = super().value(node, context)
        if self._focus_is(node) and not isinstance(node, syntax.Call | syntax.In):
            self._focus_sees(meaning, context, before)
        return meaning

    def call(self, node: syntax.Call, context: Context, instance: str | None = None) -> Meaning:
        before = len(context.scope.builder)
        meaning = super().call(node, context, instance)
        if self._focus_is(node):
            self._focus_sees(meaning, context, before)
        return meaning

    def step(self, step: syntax.Expr, context: Context) -> Meaning:
        before = len(context.scope.builder)
        meaning = super().step(step, context)
        bare = step.value if isinstance(step, syntax.Named) else step
        if isinstance(bare, syntax.Ref | syntax.Attr) and self._focus_is(bare):
            self._focus_sees(meaning, context, before)
        return meaning

    def entering(self, context: Context, span: Span) -> Tensor:
        tensor = super().entering(context, span)
        if self.focus.kind is syntax.In and span == self.focus.span:
            self._focus_sees(tensor, context, len(context.scope.builder))
        return tensor

    def body(self, body: syntax.Body, context: Context) -> Meaning:
        named = self.focus.name
        if named is not None:
            if self._focus_is_in(body.span) and named in context.names:
                self._focus_sees(context.names[named], context, len(context.scope.builder))
            return super().body(body, context)
        before = len(context.scope.builder)
        meaning = super().body(body, context)
        if self._focus_is(body):
            self._focus_sees(meaning, context, before)
        return meaning

    def _focus_is_in(self, body: Span) -> bool:
        """Whether the focus is on a name of this body: its own, or that of the block or space it ends."""
        span = self.focus.span
        whole = self.focus.kind is syntax.Block
        return body == span or (
            whole and body.source is span.source and body.end == span.end and body.start >= span.start
        )

    def _focus_is(self, node: syntax.Node) -> bool:
        return node.span == self.focus.span and isinstance(node, self.focus.kind)

    def _focus_sees(self, meaning: Meaning, context: Context, before: int) -> None:
        if len(self.sights) >= SIGHTS_CAP:
            return
        builder = context.scope.builder
        items = tuple(
            Item(node, tuple(builder[operand].type for operand in node.inputs))
            for node in builder.since(before)
            if node.op != INPUT
        )
        assuming = tuple(_conditions(context.assuming)) if items else ()
        self.sights.append(Sight(meaning, self._focus_operands(items, context), items, assuming))

    def _focus_operands(self, items: Sequence[Item], context: Context) -> tuple[TensorType, ...]:
        """The types that come in: the operator's own, or that of the value that reaches the place."""
        if len(items) == 1 and items[0].node.op != SELECT:
            return items[0].operands
        entering = self.current(context)
        return (entering.type,) if isinstance(entering, Tensor) else ()


def _conditions(value: Value) -> Sequence[Value]:
    """A conjunction's parts."""
    if isinstance(value, Apply) and value.function == "and":
        return [part for each in value.arguments for part in _conditions(each)]
    return [] if value is True else [value]
