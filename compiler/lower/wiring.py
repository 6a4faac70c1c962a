"""Wiring: walks a space's syntax tree and fills the graph, expanding blocks where they are called.

The rules it follows are numbered in `docs/language.md`. A mistake is reported once, where it stands, with
the calls around it; whatever depends on it is poisoned and stays silent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from compiler.ir.expression import (
    Literal,
    Value,
    apply,
    assignments,
    both,
    choices_of,
    evaluate,
    is_symbolic,
    show,
)
from compiler.ir.graph import SELECT, Candidate, Decision, Node
from compiler.ir.ops import MERGES, OPERATORS, Demands, TypeProblem, complete
from compiler.ir.types import TensorType
from compiler.lower import values
from compiler.lower.calls import bind_arguments, candidate_labels
from compiler.lower.expressions import Expressions
from compiler.lower.scope import (
    POISON,
    Context,
    Exhausted,
    Function,
    Meaning,
    Poison,
    Poisoned,
    Problem,
    Scope,
    Tensor,
)
from compiler.lower.values import as_tensor
from dsl import syntax
from dsl.source import Span

CALL_DEPTH_CAP = 64
NODE_CAP = 20_000
BODY_CAP = 20_000
REPEAT_CAP = 10_000
"""Caps on recursion, operators, bodies and iterations: a hostile file is answered within about a second."""


Arms = Mapping[Literal, Callable[[Context], Meaning]]
"""What lowers each candidate of a select, by the selector's value."""


@dataclass
class Wiring(Expressions):
    """Lowers steps, too: each adds nodes to the graph of `context.scope`."""

    nodes: int = field(default=0)
    bodies: int = field(default=0)

    def body(self, body: syntax.Body, context: Context) -> Meaning:
        """The result of bindings and a pipe; the bindings see `in` as it entered the braces."""
        self._expand(body.span)
        context = context.inside
        names = dict(context.names)
        for binding in body.bindings:
            inner = replace(context, names=names, label=binding.name)
            names[binding.name] = self.bound(binding.value, inner)
        if body.result is None:
            return POISON
        return self.bound(body.result, replace(context, names=names))

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
                current = self.step(step, replace(context, piped=here))
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
        what = "a tensor" if isinstance(meaning, Tensor) else "a value"
        raise Problem(
            "E0106",
            f"{what} stands where a step is expected",
            span,
            "after `->` stands a block or an operator",
        )

    def _chosen_function(self, selector: Value, span: Span, context: Context) -> Meaning:
        """A step whose function is itself a decision: `act = choose(relu, hswish)`."""
        keys = dict.fromkeys(evaluate(selector, each) for each in assignments(choices_of(selector)))
        if not all(isinstance(key, str) for key in keys):
            raise Problem("E0106", "a value stands where a step is expected", span)
        arms = {key: lambda c, k=key: self.apply(Function(str(k)), (), span, c) for key in keys}
        return self._select(selector, arms, "step", span, context)

    def _operator(self, name: str, args: Sequence[syntax.Arg], span: Span, context: Context) -> Meaning:
        operator = OPERATORS[name]
        if name in MERGES:
            raise Problem("E0106", f"`{name}` takes arguments or branches", span)
        known = [attribute.name for attribute in operator.attributes]
        given: dict[str, Value] = {}
        for parameter, arg in bind_arguments(known, args, name):
            meaning = self.value(arg.value, replace(context.aside, label=parameter))
            given[parameter] = values.as_value(meaning, arg.value.span)
        here = self.entering(context, span)
        return self._add(name, [here], given, span, context)

    def _add(
        self, name: str, operands: Sequence[Tensor], given: Mapping[str, Value], span: Span, context: Context
    ) -> Tensor:
        """A node for an operator, its type inferred."""
        self.nodes += 1
        if self.nodes > NODE_CAP:
            raise Exhausted("E0313", f"the space has more than {NODE_CAP:,} operators", span)
        operator = OPERATORS[name]
        entered = [context.scope.enter(operand) for operand in operands]
        try:
            attributes = complete(operator, given)
            result = operator.result([operand.type for operand in entered], attributes, context.assuming)
        except TypeProblem as problem:
            raise Problem("E0320", str(problem), span) from None
        except ValueError as problem:
            raise Problem("E0301", str(problem), span) from None
        inputs = tuple(operand.name for operand in entered)
        node = Node(context.place.name(name), name, inputs, result, tuple(attributes.items()), span=span)
        context.scope.builder.add(node)
        return Tensor(node.name, result, context.scope)

    def _block(
        self,
        block: syntax.Block,
        args: Sequence[syntax.Arg],
        span: Span,
        context: Context,
        instance: str | None,
    ) -> Meaning:
        if block.tied:
            raise Problem("E0399", "`tied` blocks are not supported yet", span)
        if len(context.calls) >= CALL_DEPTH_CAP:
            raise Problem("E0314", f"calls are nested more than {CALL_DEPTH_CAP} deep", span)
        given = self._arguments(block, args, context)
        place = (
            context.place
            if context.instance and instance is None
            else context.place.below(instance or block.name)
        )
        calls = (*context.calls, (block.name, span))
        callee = replace(context.inside, names={}, place=place, calls=calls, label=None, instance=False)
        names: dict[str, Meaning] = {}
        for parameter in block.params:
            names[parameter.name] = self._parameter(parameter, given, replace(callee, names=names), span)
        return self.body(block.body, replace(callee, names=names))

    def _arguments(
        self, block: syntax.Block, args: Sequence[syntax.Arg], context: Context
    ) -> dict[str, Meaning]:
        known = [parameter.name for parameter in block.params]
        given: dict[str, Meaning] = {}
        for parameter, arg in bind_arguments(known, args, block.name):
            inner = replace(context.aside, label=parameter, instance=False)
            given[parameter] = self.bound(arg.value, inner)
        return given

    def _parameter(
        self, parameter: syntax.Param, given: Mapping[str, Meaning], callee: Context, span: Span
    ) -> Meaning:
        if parameter.name in given:
            return given[parameter.name]
        if parameter.default is None:
            raise Problem("E0121", f"a call needs `{parameter.name}`", span)
        return self.bound(parameter.default, replace(callee, label=parameter.name))

    # Merges and residuals

    def merge_call(self, node: syntax.MergeCall, context: Context) -> Meaning:
        """`add(x, y)`: reads its arguments only."""
        operands = [as_tensor(self.value(arg.value, context.aside), arg.value.span) for arg in node.args]
        return self._add(node.kind, operands, {}, node.span, context)

    def merge_branches(self, node: syntax.MergeBranches, context: Context) -> Meaning:
        """`add { a | b }`: each branch is given the current value."""
        operands: list[Tensor] = []
        for branch in node.branches:
            if branch.when is None or self._decided(branch.when, context):
                place = context.place.below(branch.label) if branch.label else context.place
                meaning = self.body(branch.body, replace(context, place=place, label=None, instance=False))
                operands.append(as_tensor(meaning, branch.span))
        if not operands:
            raise Problem("E0316", f"no branch of this `{node.kind}` stands", node.span)
        return self._add(node.kind, operands, {}, node.span, context)

    def _decided(self, node: syntax.Expr, context: Context) -> bool:
        condition = self.truth(node, context)
        if is_symbolic(condition):
            message = "this condition depends on a decision, and must be a constant here"
            raise Problem("E0303", message, node.span)
        return condition is True

    def merge_subset(self, node: syntax.MergeSubset, context: Context) -> Meaning:
        raise Problem("E0399", "`choose … of { … }` is not supported yet", node.span)

    def residual(self, node: syntax.Residual, context: Context) -> Meaning:
        """Adds what entered to the body's value, where the condition holds."""
        here = self.entering(context, node.span)
        condition = self.truth(node.condition, context) if node.condition else True
        inner = as_tensor(self.body(node.body, replace(context, label=None, instance=False)), node.body.span)
        if not is_symbolic(condition):
            return self._add("add", [here, inner], {}, node.span, context) if condition else inner
        arms: Arms = {
            True: lambda c: self._add("add", [here, inner], {}, node.span, c),
            False: lambda c: c.scope.enter(inner),
        }
        return self._select(condition, arms, "residual", node.span, context)

    # Conditions, repetition, decisions between paths

    def condition(self, node: syntax.If, context: Context) -> Meaning:
        """The arm taken; both, where the condition depends on a decision."""
        condition = self.truth(node.condition, context)
        inner = replace(context, label=None, instance=False)
        if not is_symbolic(condition):
            return self._arm(node.then if condition else node.otherwise, node.span, inner)
        arms: Arms = {
            True: lambda c: self._arm(node.then, node.span, c),
            False: lambda c: self._arm(node.otherwise, node.span, c),
        }
        return self._select(condition, arms, "if", node.span, inner)

    def _arm(self, arm: syntax.Body | syntax.If | None, span: Span, context: Context) -> Meaning:
        if arm is None:
            return self.entering(context, span)
        if isinstance(arm, syntax.If):
            return self.condition(arm, context)
        return self.body(arm, context)

    def repeat(self, node: syntax.Repeat, context: Context) -> Meaning:
        """The body, count times over; an iteration beyond an elastic count passes its input on."""
        if node.tied:
            raise Problem("E0399", "`tied repeat` is not supported yet", node.span)
        counting = replace(context.aside, label=context.label or "depth", instance=False)
        count = values.as_value(self.value(node.count, counting), node.count.span)
        least, most = self._bounds(count, node.count.span)
        current: Meaning = self.entering(context, node.span)
        for iteration in range(1, most + 1):
            here = as_tensor(current, node.body.span)
            place = context.place.below(f"{node.index or 'repeat'}{iteration}")
            names = {**context.names, node.index: iteration} if node.index else context.names
            inner = replace(context, piped=here, place=place, names=names, label=None, instance=False)
            if iteration <= least:
                current = self.body(node.body, inner)
            else:
                exists = apply("<=", iteration, count)
                arms: Arms = {
                    True: lambda c: self.body(node.body, c),
                    False: lambda c: self.entering(c, node.span),
                }
                current = self._select(exists, arms, "exists", node.span, inner)
        return current

    def _bounds(self, count: Value, span: Span) -> tuple[int, int]:
        counts = {evaluate(count, each) for each in assignments(choices_of(count))}
        checked = [values.as_count(each, span, "the count of `repeat`", REPEAT_CAP) for each in counts]
        return min(checked), max(checked)

    def choose_path(self, node: syntax.ChoosePath, context: Context) -> Meaning:
        """One decision between paths; `| path when condition` stands only where the condition holds."""
        live = [b for b in node.branches if b.when is None or self._decided(b.when, context)]
        if not live:
            raise Problem("E0316", "no candidate of this `choose` stands", node.span)
        labels = candidate_labels(live)
        if len(live) == 1:
            return self._candidate(live[0], labels[0], context)
        path = context.place.name(node.name or context.label or "path")
        decision = Decision(path, tuple(labels), "path", node.span)
        context.scope.builder.declare(decision)
        arms: Arms = {
            label: lambda c, b=branch, n=label: self._candidate(b, n, c)  # type: ignore[misc]
            for label, branch in zip(labels, live, strict=True)
        }
        return self._select(decision.choice, arms, path.rpartition(".")[2], node.span, context)

    def _candidate(self, branch: syntax.Branch, label: str, context: Context) -> Meaning:
        place = context.place.below(label.replace("#", "_"))
        inner = replace(context, place=place, label=None, instance=branch.label is None)
        return self.body(branch.body, inner)

    def _select(
        self,
        selector: Value,
        arms: Arms,
        name: str,
        span: Span,
        context: Context,
    ) -> Tensor:
        """A node that is one of its arms; each is lowered into a graph of its own."""
        here = self.entering(context, span)
        results: dict[Literal, Tensor] = {}
        failed = False
        for key, arm in arms.items():
            scope = Scope()
            assuming = both(context.assuming, apply("==", selector, key))
            inner = replace(context, scope=scope, piped=scope.enter(here), assuming=assuming)
            meaning = self.guarded(partial(self._entered, arm, inner, span), inner)
            if isinstance(meaning, Tensor):
                results[key] = meaning
            failed |= not isinstance(meaning, Tensor)
        if failed:
            raise Poisoned
        type_ = _common_type(selector, results, context.assuming, span)
        return self._join(selector, results, type_, name, span, context)

    def _entered(self, arm: Callable[[Context], Meaning], context: Context, span: Span) -> Tensor:
        return context.scope.enter(as_tensor(arm(context), span))

    def _join(
        self,
        selector: Value,
        results: Mapping[Literal, Tensor],
        type_: TensorType,
        name: str,
        span: Span,
        context: Context,
    ) -> Tensor:
        captured = {n: t for result in results.values() for n, t in result.scope.captured.items()}
        operands = tuple(context.scope.enter(tensor) for tensor in captured.values())
        candidates = tuple(
            Candidate(key, result.scope.close(result, tuple(captured.values())))
            for key, result in results.items()
        )
        inputs = tuple(operand.name for operand in operands)
        node = Node(context.place.name(name), SELECT, inputs, type_, (), selector, candidates, span=span)
        context.scope.builder.add(node)
        return Tensor(node.name, type_, context.scope)


def _common_type(
    selector: Value, results: Mapping[Literal, Tensor], assuming: Value, span: Span
) -> TensorType:
    """The type that every candidate gives wherever it is selected; it is that of one of them."""
    problem: ValueError | None = None
    (first_key, first), *_ = results.items()
    for reference in results.values():
        try:
            for key, other in results.items():
                gives = f"`{show(first_key)}` gives {first.type}, `{show(key)}` gives {other.type}"
                where = both(assuming, apply("==", selector, key))
                Demands(where).alike(reference.type, other.type, f"candidates differ: {gives}")
            return reference.type
        except ValueError as found:
            problem = problem or found
    raise Problem("E0321", str(problem), span)
