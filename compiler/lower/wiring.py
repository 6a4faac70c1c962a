"""Wiring: walks a space's syntax tree and fills the graph, expanding blocks where they are called.

The rules it follows are numbered in `docs/language.md`. A mistake is reported once, where it stands, with
the calls around it; whatever depends on it is poisoned and stays silent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from compiler.ir.expression import Value, is_symbolic, show
from compiler.ir.graph import Node
from compiler.ir.ops import MERGES, OPERATORS, AttributeProblem, TypeProblem, complete
from compiler.ir.types import TensorType
from compiler.lower import values
from compiler.lower.calls import bind_arguments
from compiler.lower.origins import NOWHERE, Arm, Origins, result_place
from compiler.lower.place import Bound, Place, own_name
from compiler.lower.scope import (
    POISON,
    Context,
    Exhausted,
    Function,
    Meaning,
    Poison,
    Poisoned,
    Problem,
    Tensor,
)
from compiler.lower.selection import Arms, Selection
from compiler.lower.values import as_tensor
from dsl import syntax
from dsl.source import Span
from dsl.suggest import listed

CALL_DEPTH_CAP = 64
NODE_CAP = 20_000
ELASTIC_CAP = 1_500
BODY_CAP = 20_000
"""Caps on recursion, operators and bodies: a hostile file is answered within about a second."""


Inferred = tuple[tuple[tuple[str, Value], ...], TensorType]
"""The attributes of an operator, all of them, and the type that it gives."""


@dataclass
class Wiring(Selection):
    """Lowers steps, too: each adds nodes to the graph of `context.scope`."""

    nodes: int = field(default=0)
    elastic: int = field(default=0)
    bodies: int = field(default=0)
    inferred: dict[object, Inferred] = field(default_factory=dict)

    def body(self, body: syntax.Body, context: Context) -> Meaning:
        """The result of bindings and a pipe; the bindings see `in` as it entered the braces."""
        self._expand(body.span)
        context = context.inside
        names = dict(context.names)
        for binding in body.bindings:
            bound = Bound(binding.name, context.place, binding.span)
            inner = context.but(names=names, label=binding.name, bound=bound)
            names[binding.name] = self.bound(binding.value, inner)
        if body.result is None:
            return POISON
        return self.bound(body.result, context.but(names=names))

    def _expand(self, span: Span) -> None:
        self.bodies += 1
        if self.bodies > BODY_CAP:
            message = f"the space expands to more than {BODY_CAP:,} bodies of blocks, repeats and branches"
            raise Exhausted("E0313", message, span)

    def pipe(self, pipe: syntax.Pipe, context: Context) -> Meaning:
        """Apply each step to the value before it; the first may name the tensor to start at."""
        current: Meaning = POISON
        for index, step in enumerate(pipe.steps):
            if index == 0:
                current = self._head(step, context)
            else:
                here = as_tensor(current, pipe.steps[index - 1].span)
                current = self.step(step, context.but(piped=here))
        return current

    def _head(self, step: syntax.Expr, context: Context) -> Meaning:
        if isinstance(step, syntax.In):
            return self.entering(context, step.span)
        if isinstance(step, syntax.Ref) and isinstance(context.names.get(step.name), Tensor | Poison):
            return context.names[step.name]
        return self.step(step, context)

    def step(self, step: syntax.Expr, context: Context) -> Meaning:
        """Apply one step to the value that reaches it."""
        if isinstance(step, syntax.Ref | syntax.Attr | syntax.ChooseValue):
            return self.apply(self.value(step, context), (), step.span, context)
        if isinstance(step, syntax.Named) and isinstance(step.value, syntax.Ref):
            return self.apply(self.value(step.value, context), (), step.span, context, step.name)
        if isinstance(step, syntax.Named) and isinstance(step.value, syntax.ChooseValue):
            return self.apply(self.value(step, context), (), step.span, context)
        return self.value(step, context)

    def apply(
        self,
        meaning: Meaning,
        args: Sequence[syntax.Arg],
        span: Span,
        context: Context,
        instance: str | None = None,
    ) -> Meaning:
        """Apply a block or an operator to the value that reaches it."""
        if isinstance(meaning, Poison):
            raise Poisoned
        if isinstance(meaning, Function) and meaning.name in self.blocks:
            return self._block(self.blocks[meaning.name], args, span, context, instance)
        if isinstance(meaning, Function) and meaning.name in OPERATORS:
            return self._operator(meaning.name, args, span, context)
        if is_symbolic(meaning) and not args:
            return self._chosen_function(meaning, span, context)  # type: ignore[arg-type]
        if isinstance(meaning, str):
            return self.apply(Function(meaning), args, span, context, instance)
        if isinstance(meaning, Tensor):
            raise _not_a_step("a tensor", span)
        named = f"the function `{meaning.name}`" if isinstance(meaning, Function) else f"`{show(meaning)}`"
        raise _not_a_step(named, span)

    def _chosen_function(self, selector: Value, span: Span, context: Context) -> Meaning:
        """A step whose function is itself a decision: `act = choose(relu, hswish)`."""
        keys = dict.fromkeys(values.attempt_each(selector, span))
        names = [key for key in keys if isinstance(key, str)]
        if len(names) < len(keys):
            raise _not_a_step(f"the value `{show(selector)}`", span)
        arms: Arms = {
            name: Arm(partial(self.apply, Function(name), (), span), span, f"`{name}` gives")
            for name in names
        }
        return self.select(selector, arms, "step", span, context)

    def _operator(self, name: str, args: Sequence[syntax.Arg], span: Span, context: Context) -> Meaning:
        operator = OPERATORS[name]
        if name in MERGES:
            raise Problem("E0106", f"`{name}` takes arguments or branches", span)
        known = [*operator.tensors, *[attribute.name for attribute in operator.attributes]]
        given: dict[str, Value] = {}
        tensors: dict[str, Tensor] = {}
        places: dict[str, Span] = {}
        for parameter, arg in bind_arguments(known, args, name):
            places[parameter] = arg.value.span
            meaning = self.value(arg.value, context.aside.but(label=parameter, bound=None))
            if parameter in operator.tensors:
                tensors[parameter] = as_tensor(meaning, arg.value.span)
            else:
                given[parameter] = values.as_value(meaning, arg.value.span)
        needed = [*operator.tensors, *[each.name for each in operator.attributes if each.required]]
        missing = [f"`{each}`" for each in needed if each not in places]
        if missing:
            raise Problem("E0121", f"`{name}` needs {listed(missing, 'and')}", span)
        operands = [self.entering(context, span), *[tensors[each] for each in operator.tensors]]
        return self.add(name, operands, given, span, context, Origins(attributes=places))

    def add(
        self,
        name: str,
        operands: Sequence[Tensor],
        given: Mapping[str, Value],
        span: Span,
        context: Context,
        origins: Origins = NOWHERE,
    ) -> Tensor:
        """A node for an operator, its type inferred."""
        self.nodes += 1
        if self.nodes > NODE_CAP:
            raise Exhausted("E0313", f"the space has more than {NODE_CAP:,} operators", span)
        entered = [context.scope.enter(operand) for operand in operands]
        types = [each.type for each in entered]
        concrete = all(type_.is_concrete for type_ in types) and not any(map(is_symbolic, given.values()))
        self._count_elastic(concrete, span)
        try:
            attributes, result = self._inferred(name, types, given, context.assuming, concrete)
        except AttributeProblem as problem:
            place = origins.attributes.get(problem.attribute, span)
            raise Problem("E0304", str(problem), place) from None
        except TypeProblem as problem:
            raise origins.misfit(str(problem), span, types) from None
        except ValueError as problem:
            raise Problem("E0301", str(problem), span) from None
        inputs = tuple(operand.name for operand in entered)
        node = Node(context.place.node(name), name, inputs, result, attributes, span=span)
        context.scope.builder.add(node)
        return Tensor(node.name, result, context.scope)

    def _count_elastic(self, concrete: bool, span: Span) -> None:
        self.elastic += not concrete
        if self.elastic > ELASTIC_CAP:
            message = f"the space has more than {ELASTIC_CAP:,} operators whose sizes depend on decisions"
            raise Exhausted("E0313", message, span)

    def _inferred(
        self,
        name: str,
        operands: Sequence[TensorType],
        given: Mapping[str, Value],
        assuming: Value,
        concrete: bool,
    ) -> Inferred:
        """The attributes and the type of an operator; what depends on no decision is worked out once."""
        # Types are part of the key, since `true == 1`.
        key = (name, *operands, *[(each, value, type(value)) for each, value in given.items()])
        if concrete and key in self.inferred:
            return self.inferred[key]
        attributes = complete(OPERATORS[name], given)
        result = OPERATORS[name].result(operands, attributes, assuming)
        inferred = tuple(attributes.items()), result
        if concrete:
            self.inferred[key] = inferred
        return inferred

    def _block(
        self,
        block: syntax.Block,
        args: Sequence[syntax.Arg],
        span: Span,
        context: Context,
        instance: str | None,
    ) -> Meaning:
        if len(context.calls) >= CALL_DEPTH_CAP:
            message = f"calls are nested more than {CALL_DEPTH_CAP} deep"
            hint = "a block that calls itself ends with an `if` on a constant"
            raise Problem("E0314", message, span, hint)
        given = self._arguments(block, args, context)
        calls = (*context.calls, (block.name, span))
        callee = context.inside.but(names={}, calls=calls).within(
            self._instance(block, span, context, instance)
        )
        names: dict[str, Meaning] = {}
        for parameter in block.params:
            names[parameter.name] = self._parameter(parameter, given, callee.but(names=names), span)
        return self.body(block.body, callee.but(names=names))

    def _instance(self, block: syntax.Block, span: Span, context: Context, instance: str | None) -> Place:
        """The place of a call: one of its own, but for a candidate that is that call."""
        if block.tied:
            return context.home.tied(instance or own_name(block), self.decisions.tied_block(block))
        if context.instance:
            return context.place
        return context.home.below(instance or own_name(block), span)

    def _arguments(
        self, block: syntax.Block, args: Sequence[syntax.Arg], context: Context
    ) -> dict[str, Meaning]:
        known = [parameter.name for parameter in block.params]
        given: dict[str, Meaning] = {}
        for parameter, arg in bind_arguments(known, args, block.name):
            inner = context.aside.but(label=parameter, bound=None, instance=False)
            given[parameter] = self.bound(arg.value, inner)
        return given

    def _parameter(
        self, parameter: syntax.Param, given: Mapping[str, Meaning], callee: Context, span: Span
    ) -> Meaning:
        if parameter.name in given:
            return given[parameter.name]
        if parameter.default is None:
            raise Problem("E0121", f"a call needs `{parameter.name}`", span)
        return self.bound(parameter.default, callee.but(label=parameter.name))

    # Merges

    def merge_call(self, node: syntax.MergeCall, context: Context) -> Meaning:
        """`add(x, y)`: reads its arguments only."""
        operands = [as_tensor(self.value(arg.value, context.aside), arg.value.span) for arg in node.args]
        origins = Origins([arg.value.span for arg in node.args])
        return self.add(node.kind, operands, {}, node.span, context, origins)

    def merge_branches(self, node: syntax.MergeBranches, context: Context) -> Meaning:
        """`add { a | b }`: each branch is given the current value."""
        operands: list[Tensor] = []
        branches = self.standing(node.branches, f"branch of this `{node.kind}`", node.span, context)
        for branch in branches:
            home = context.home
            place = home.below(branch.label, branch.span) if branch.label else home
            operands.append(as_tensor(self.body(branch.body, context.within(place)), branch.span))
        origins = Origins([result_place(branch.body) for branch in branches])
        return self.add(node.kind, operands, {}, node.span, context, origins)


def _not_a_step(what: str, span: Span) -> Problem:
    hint = "a step is a block or an operator; values are given to it as arguments"
    return Problem("E0106", f"{what} stands where a step is expected", span, hint)
