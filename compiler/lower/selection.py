"""Selection: nodes that are one of several graphs, or merge some of them, as decisions say.

Decisions between paths and subsets, conditions on decisions, elastic depth and conditional residuals are all
one kind of node, made here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from compiler.ir.expression import (
    Literal,
    Scalar,
    Value,
    apply,
    both,
    is_symbolic,
)
from compiler.ir.graph import SELECT, Candidate, Decision, Node
from compiler.ir.merge import merged_type
from compiler.ir.ops import Demands
from compiler.ir.types import TensorType
from compiler.lower import values
from compiler.lower.calls import candidate_labels
from compiler.lower.decisions import subsets
from compiler.lower.expressions import Expressions
from compiler.lower.origins import NOWHERE, Arm, Origins, result_place
from compiler.lower.place import Place, Ties, key_of
from compiler.lower.scope import Context, Meaning, Poisoned, Problem, Scope, Tensor
from compiler.lower.values import as_tensor
from dsl import syntax
from dsl.source import Span

REPEAT_CAP = 10_000
"""The most iterations of a `repeat`."""

Arms = Mapping[Scalar, Arm]
"""The candidates of a select, by the selector's value."""


@dataclass
class Selection(Expressions):
    """Lowers wiring that depends on decisions."""

    def body(self, body: syntax.Body, context: Context) -> Meaning:
        """The value of braces."""
        raise NotImplementedError

    def add(
        self,
        name: str,
        operands: Sequence[Tensor],
        given: Mapping[str, Value],
        span: Span,
        context: Context,
        origins: Origins = NOWHERE,
    ) -> Tensor:
        """A node for an operator."""
        raise NotImplementedError

    def residual(self, node: syntax.Residual, context: Context) -> Meaning:
        """Adds what entered to the body's value, where the condition holds."""
        here = self.entering(context, node.span)
        condition = self.truth(node.condition, context) if node.condition else True
        inner = as_tensor(self.body(node.body, context.within(context.home)), node.body.span)
        add = partial(self.add, "add", [here, inner], {}, node.span, origins=_residual_origins(node, here))
        if not is_symbolic(condition):
            return add(context) if condition else inner
        arms: Arms = {
            True: Arm(add, node.span, "the sum is"),
            False: Arm(lambda c: c.scope.enter(inner), result_place(node.body), "the body gives"),
        }
        return self.select(condition, arms, "residual", node.span, context)

    def condition(self, node: syntax.If, context: Context) -> Meaning:
        """The arm taken; both, where the condition depends on a decision."""
        condition = self.truth(node.condition, context)
        inner = context.within(context.home)
        if not is_symbolic(condition):
            return self._arm(node.then if condition else node.otherwise, node.span, inner)
        arms: Arms = {
            True: Arm(
                partial(self._arm, node.then, node.span), result_place(node.then), "the first arm gives"
            ),
            False: Arm(partial(self._arm, node.otherwise, node.span), *_otherwise(node)),
        }
        return self.select(condition, arms, "if", node.span, inner)

    def _arm(self, arm: syntax.Body | syntax.If | None, span: Span, context: Context) -> Meaning:
        if arm is None:
            return self.entering(context, span)
        if isinstance(arm, syntax.If):
            return self.condition(arm, context)
        return self.body(arm, context)

    def repeat(self, node: syntax.Repeat, context: Context) -> Meaning:
        """The body, count times over; an iteration beyond an elastic count passes its input on."""
        counting = context.aside.but(label=context.label or "depth", instance=False)
        count = values.as_value(self.value(node.count, counting), node.count.span)
        least, most = self._bounds(count, node.count.span)
        place_of = self._iterations(node, context)
        current: Meaning = self.entering(context, node.span)
        for iteration in range(1, most + 1):
            here = as_tensor(current, node.body.span)
            names = {**context.names, node.index: iteration} if node.index else context.names
            inner = context.within(place_of(iteration)).but(piped=here, names=names)
            if iteration <= least:
                current = self.body(node.body, inner)
            else:
                exists = apply("<=", iteration, count)
                arms: Arms = {
                    True: Arm(partial(self.body, node.body), result_place(node.body), "an iteration gives"),
                    False: Arm(lambda c: self.entering(c, node.span), node.count.span, "without it there is"),
                }
                current = self.select(exists, arms, "exists", node.span, inner)
        return current

    def _iterations(self, node: syntax.Repeat, context: Context) -> Callable[[int], Place]:
        """The place of each iteration; those of a tied repeat share what is decided in them."""
        home, base = context.home, node.index or "repeat"
        if not node.tied:
            return lambda iteration: home.below(f"{base}{iteration}", node.span, iteration)
        ties = home.ties.below(base, key_of(node.span)) if home.ties else Ties(home.name(base))
        return lambda iteration: home.tied(f"{base}{iteration}", ties)

    def _bounds(self, count: Value, span: Span) -> tuple[int, int]:
        counts = values.attempt_each(count, span)
        checked = [values.as_count(each, span, "the count of `repeat`", REPEAT_CAP) for each in counts]
        return min(checked), max(checked)

    def choose_path(self, node: syntax.ChoosePath, context: Context) -> Meaning:
        """One decision between paths; `| path when condition` stands only where the condition holds."""
        live = self.standing(node.branches, "candidate of this `choose`", node.span, context)
        labels = candidate_labels(live)
        decision = self._path_decision(node, labels, context)
        if decision is None:
            return self._candidate(live[0], labels[0], context)
        name = decision.path.rpartition(".")[2]
        return self.select(decision.choice, self._arms(live, labels), name, node.span, context)

    def merge_subset(self, node: syntax.MergeSubset, context: Context) -> Meaning:
        """`add choose 2 of { … }`: one decision on the set of branches that are merged."""
        live = self.standing(node.branches, f"branch of this `{node.kind}`", node.span, context)
        labels = candidate_labels(live, subset=True)
        options = subsets(labels, *self.picked(node.count, context, least=1), node.count.span)
        arms = self._arms(live, labels)
        decision = self._path_decision(node, options, context)
        if decision is None:
            picked = [
                as_tensor(arms[label].lower(context), branch.span)
                for label, branch in zip(labels, live, strict=True)
            ]
            return self.add(node.kind, picked, {}, node.span, context)
        name = decision.path.rpartition(".")[2]
        return self.select(decision.choice, arms, name, node.span, context, merge=node.kind)

    def _path_decision(
        self, node: syntax.ChoosePath | syntax.MergeSubset, options: Sequence[Literal], context: Context
    ) -> Decision | None:
        named = context.but(bound=None) if node.name else context
        name = node.name or context.label or "path"
        return self.decisions.declare(options, "path", node.span, name, named)

    def _arms(self, branches: Sequence[syntax.Branch], labels: Sequence[str]) -> Arms:
        return {
            label: Arm(partial(self._candidate, branch, label), result_place(branch.body), f"`{label}` gives")
            for label, branch in zip(labels, branches, strict=True)
        }

    def standing(
        self, branches: Sequence[syntax.Branch], what: str, span: Span, context: Context
    ) -> list[syntax.Branch]:
        """The branches whose `when` holds; it is a constant, and one branch is left."""
        live = [branch for branch in branches if branch.when is None or self._holds(branch.when, context)]
        if not live:
            raise Problem("E0316", f"no {what} stands", span)
        return live

    def _holds(self, node: syntax.Expr, context: Context) -> bool:
        condition = self.truth(node, context)
        if is_symbolic(condition):
            message = "this condition depends on a decision, and must be a constant here"
            hint = "what candidates there are is the same for all networks: leave the candidate, or test a constant"
            raise Problem("E0303", message, node.span, hint)
        return condition is True

    def _candidate(self, branch: syntax.Branch, label: str, context: Context) -> Meaning:
        place = context.home.below(label.replace("#", "_"), branch.span)
        steps = branch.body.result.steps if branch.body.result else ()
        # A subset's branch may go by the tensor that it starts at: then the calls in it have places of their own.
        return self.body(
            branch.body, context.within(place, instance=branch.label is None and len(steps) == 1)
        )

    def select(
        self,
        selector: Value,
        arms: Arms,
        name: str,
        span: Span,
        context: Context,
        merge: syntax.MergeKind | None = None,
    ) -> Tensor:
        """A node that is one of its arms, or merges some; each is lowered into a graph of its own."""
        here = self.current(context)
        results: dict[Scalar, Tensor] = {}
        failed = False
        for key, arm in arms.items():
            scope = Scope(context.scope)
            assuming = both(context.assuming, apply("contains" if merge else "==", selector, key))
            piped = scope.enter(as_tensor(here, span)) if here is not None else None
            inner = context.but(scope=scope, piped=piped, assuming=assuming, when=True)
            meaning = self.guarded(partial(self._entered, arm.lower, inner, span), span, inner)
            if isinstance(meaning, Tensor):
                results[key] = meaning
            failed |= not isinstance(meaning, Tensor)
        if failed:
            raise Poisoned
        if merge:
            type_ = _merged_type(merge, selector, results, arms, context.assuming, span)
        else:
            type_ = _common_type(selector, results, arms, context.assuming, span)
        attributes = (("merge", merge),) if merge else ()
        return self._join(selector, results, type_, attributes, name, span, context)

    def _entered(self, arm: Callable[[Context], Meaning], context: Context, span: Span) -> Tensor:
        return context.scope.enter(as_tensor(arm(context), span))

    def _join(
        self,
        selector: Value,
        results: Mapping[Scalar, Tensor],
        type_: TensorType,
        attributes: tuple[tuple[str, Value], ...],
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
        node = Node(
            context.place.node(name), SELECT, inputs, type_, attributes, selector, candidates, span=span
        )
        context.scope.builder.add(node)
        return Tensor(node.name, type_, context.scope)


def _residual_origins(node: syntax.Residual, here: Tensor) -> Origins:
    """The body is all that stands in the text: what enters was made before it."""
    hint = f"`residual` adds what enters, {here.type}, to what its body gives: say `when` the two agree"
    return Origins([None, result_place(node.body)], hint=hint)


def _otherwise(node: syntax.If) -> tuple[Span, str]:
    """Where the other arm of a condition stands, and what it does."""
    if node.otherwise is None:
        return node.condition.span, "without `else` the value stays"
    arm = node.otherwise
    return result_place(arm) if isinstance(arm, syntax.Body) else arm.span, "the other arm gives"


def _common_type(
    selector: Value, results: Mapping[Scalar, Tensor], arms: Arms, assuming: Value, span: Span
) -> TensorType:
    """The type that every candidate gives wherever it is selected; it is that of one of them."""
    clash: Problem | None = None
    for first in results:
        try:
            for other in results:
                where = both(assuming, apply("==", selector, other))
                _demand_alike(where, first, other, results, arms, span)
            return results[first].type
        except Problem as found:
            clash = clash or found
    assert clash is not None, "a selection has candidates"
    raise clash


def _demand_alike(
    where: Value, first: Scalar, other: Scalar, results: Mapping[Scalar, Tensor], arms: Arms, span: Span
) -> None:
    """Demand that two candidates give one type where the second is selected."""
    types = {key: results[key].type for key in (first, other)}
    gives = " and ".join(f"{arms[key].gives} {type_}" for key, type_ in types.items())
    message = f"paths differ in type: {gives}"
    try:
        Demands(where).alike(types[first], types[other], message)
    except ValueError as problem:
        # Under which assignment two types differ is worth saying only where they depend on one.
        plain = all(type_.is_concrete for type_ in types.values())
        notes = tuple(arms[key].note(type_) for key, type_ in types.items())
        hint = "what follows is the same for all of them: let each give the same type"
        raise Problem("E0321", message if plain else str(problem), span, hint, notes) from None


def _merged_type(
    merge: str, selector: Value, results: Mapping[Scalar, Tensor], arms: Arms, assuming: Value, span: Span
) -> TensorType:
    """The type of the merge of those results that are picked."""
    picked = [(key, result.type) for key, result in results.items()]
    try:
        return merged_type(merge, selector, picked, assuming)
    except ValueError as problem:
        notes = tuple(arms[key].note(type_) for key, type_ in picked)
        raise Problem("E0321", str(problem), span, notes=notes) from None
