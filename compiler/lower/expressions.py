"""Expressions: what names, arithmetic, conditions and decisions between values mean where they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from compiler.ir.enumeration import settle
from compiler.ir.expression import Literal, Scalar, Value, ValueProblem, apply, both, is_symbolic, show
from compiler.ir.ops import OPERATORS
from compiler.lower import values
from compiler.lower.decisions import Decisions, subsets
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
from compiler.lower.values import as_tensor
from dsl import syntax
from dsl.source import Span
from dsl.suggest import did_you_mean

Report = Callable[[Problem, Context], None]
_FACTOR = "let the decision be a factor: `choose(1, 2) * width`"


@dataclass
class Expressions:
    """Lowers expressions. `names` holds the file's constants; `report` takes each mistake, once.

    `decisions` takes every decision that is made.
    """

    blocks: Mapping[str, syntax.Block]
    names: Mapping[str, Meaning]
    report: Report
    decisions: Decisions = field(default_factory=Decisions)

    def value(self, node: syntax.Expr, context: Context) -> Meaning:
        """What an expression means; wiring in it is applied to what reaches it."""
        return getattr(self, _METHODS[type(node)])(node, context)  # type: ignore[no-any-return]

    def guarded(self, function: Callable[[], Meaning], span: Span, context: Context) -> Meaning:
        """What `function` gives, or poison where it reports a mistake, at `span` if it names no other place."""
        try:
            return function()
        except Exhausted:
            raise
        except Problem as problem:
            self.report(problem, context)
        except ValueProblem as problem:
            self.report(Problem("E0301", str(problem), span), context)
        except Poisoned:
            pass
        return POISON

    def bound(self, node: syntax.Expr, context: Context) -> Meaning:
        """What an expression means to the name it is bound to: poison where it is wrong."""
        return self.guarded(lambda: self.value(node, context), node.span, context)

    def number(self, node: syntax.Number, context: Context) -> Meaning:
        return node.value

    def boolean(self, node: syntax.Bool, context: Context) -> Meaning:
        return node.value

    def quantity(self, node: syntax.Quantity, context: Context) -> Meaning:
        raise Problem("E0302", "a quantity with a unit stands only in settings and limits", node.span)

    def string(self, node: syntax.String, context: Context) -> Meaning:
        raise Problem("E0302", "a string stands only in settings", node.span)

    def reference(self, node: syntax.Ref, context: Context) -> Meaning:
        """A name: a parameter, a binding, a constant, else a block or an operator."""
        for names in (context.names, self.names):
            if node.name in names:
                meaning = names[node.name]
                if isinstance(meaning, Poison):
                    raise Poisoned
                return meaning
        if node.name in self.blocks or node.name in OPERATORS or node.name in values.FUNCTIONS:
            return Function(node.name)
        known = [*context.names, *self.names, *self.blocks, *OPERATORS, *values.FUNCTIONS]
        hint = did_you_mean(node.name, known)
        raise Problem("E0101", f"nothing is named `{node.name}` here", node.span, hint)

    def here(self, node: syntax.In, context: Context) -> Meaning:
        return self.entering(context.aside, node.span)

    def current(self, context: Context) -> Tensor | Poison | None:
        """The value that reaches a step; None where there is none, as in a space with several inputs."""
        return context.piped or context.here

    def entering(self, context: Context, span: Span) -> Tensor:
        """The value that a step is applied to."""
        current = self.current(context)
        if current is None:
            raise Problem("E0105", "there is no `in` here", span)
        return as_tensor(current, span)

    def attribute(self, node: syntax.Attr, context: Context) -> Meaning:
        """`.channels` of any tensor, `.height` and `.width` of images, `.tokens` of sequences."""
        dimensions = as_tensor(self.value(node.base, context), node.span).type.dimensions
        known = _DIMENSIONS[len(dimensions)]
        if node.name not in known:
            message = f"a tensor of {len(dimensions)} dimensions has no `.{node.name}`"
            raise Problem("E0310", message, node.span, f"it has {', '.join(known)}")
        return dimensions[known.index(node.name)]

    def unary(self, node: syntax.Unary, context: Context) -> Meaning:
        operand = values.as_value(self.value(node.operand, context), node.operand.span)
        function = "neg" if node.operator == "-" else "not"
        return values.attempt(node.span, lambda: apply(function, operand))

    def binary(self, node: syntax.Binary | syntax.Compare, context: Context) -> Meaning:
        left = values.as_value(self.value(node.left, context), node.left.span)
        right = values.as_value(self.value(node.right, context), node.right.span)
        if node.operator == "contains":
            values.demand_set(left, node.left.span)
        return values.attempt(node.span, lambda: apply(node.operator, left, right))

    def logic(self, node: syntax.Logic, context: Context) -> Meaning:
        """`and`, `or`: the right side is reached where the left one does not decide."""
        left = values.as_value(self.value(node.left, context), node.left.span)
        if isinstance(left, bool) and left is (node.operator == "or"):
            return left
        if isinstance(left, bool):
            right = values.as_value(self.value(node.right, context), node.right.span)
            return values.attempt(node.span, lambda: apply("and", right, True))
        right = self._arm_value(node.right, left if node.operator == "and" else apply("not", left), context)
        return values.attempt(node.span, lambda: apply(node.operator, left, right))

    def pick(self, node: syntax.Pick, context: Context) -> Meaning:
        condition = self.truth(node.condition, context)
        if not is_symbolic(condition):
            return self.value(node.then if condition else node.otherwise, context)
        arms = ((node.then, condition), (node.otherwise, apply("not", condition)))
        then, otherwise = (self._arm_value(arm, holds, context) for arm, holds in arms)
        return values.attempt(node.span, lambda: apply("if", condition, then, otherwise))

    def _arm_value(self, node: syntax.Expr, holds: Value, context: Context) -> Value:
        """An arm of a value that a decision picks; a decision in it exists only with that arm."""
        inner = context.but(when=both(context.when, holds), assuming=both(context.assuming, holds))
        return values.as_value(self.value(node, inner), node.span)

    def truth(self, node: syntax.Expr, context: Context) -> Value:
        found = values.as_value(self.value(node, context.aside), node.span)
        condition = values.attempt(node.span, lambda: settle(found))
        if not is_symbolic(condition) and not isinstance(condition, bool):
            message = f"a condition is true or false, not {show(condition)}"
            raise Problem("E0311", message, node.span, "compare it with something: `== 1`")
        return condition

    def choose_value(self, node: syntax.ChooseValue, context: Context) -> Meaning:
        options = self._options(node.choices, node.span, context)
        return self.decisions.value(options, node.span, context)

    def choose_values(self, node: syntax.ChooseValues, context: Context) -> Meaning:
        """`choose 2 of (…)`: a decision whose value is a set."""
        members = self._options(node.choices, node.span, context)
        options = subsets(members, *self.picked(node.count, context, least=0), node.count.span)
        return self.decisions.value(options, node.span, context)

    def picked(
        self, node: syntax.Number | syntax.Ref | syntax.RangeChoice, context: Context, least: int
    ) -> tuple[int, int]:
        """The least and the greatest number that `choose … of` picks."""
        ends = (node.start, node.stop) if isinstance(node, syntax.RangeChoice) else (node, node)
        low, high = (self._constant(end, context, "the number of picks") for end in ends)
        for number, end in ((low, ends[0]), (high, ends[1])):
            if isinstance(number, bool) or not isinstance(number, int) or number < least:
                message = f"the number of picks is {show(number)}, and must be an integer from {least}"
                raise Problem("E0327", message, end.span)
        return low, high  # type: ignore[return-value]

    def _options(
        self, choices: Sequence[syntax.Expr | syntax.RangeChoice], span: Span, context: Context
    ) -> list[Scalar]:
        """The options that are written: distinct constants of one kind."""
        options: list[Scalar] = []
        for choice in choices:
            if isinstance(choice, syntax.RangeChoice):
                ends = [self._constant(end, context) for end in (choice.start, choice.stop)]
                step = self._constant(choice.step, context) if choice.step else 1
                options.extend(values.spread(ends[0], ends[1], step, choice.span))
            else:
                options.append(self._option(choice, context))
        return values.distinct(options, span)

    def _constant(
        self, node: syntax.Expr, context: Context, what: str = "an option of a decision"
    ) -> Literal:
        return values.as_constant(self.value(node, context.aside), node.span, what, _FACTOR)

    def _option(self, node: syntax.Expr, context: Context) -> Scalar:
        meaning = self.value(node, context.aside.but(label=None))
        if isinstance(meaning, Function):
            return meaning.name
        option = values.as_constant(meaning, node.span, "an option of a decision", _FACTOR)
        if isinstance(option, tuple):
            raise Problem("E0308", "an option is a number, true or false, or a step; not a set", node.span)
        return option

    def named(self, node: syntax.Named, context: Context) -> Meaning:
        """`… as name`: names the decision, or the instance of the block."""
        if isinstance(node.value, syntax.Call):
            return self.call(node.value, context, node.name)
        return self.value(node.value, context.but(label=node.name, bound=None))

    def call(self, node: syntax.Call, context: Context, instance: str | None = None) -> Meaning:
        """A function of values, or a block or an operator applied to what reaches it."""
        meaning = self.value(node.callee, context)
        if isinstance(meaning, Function) and meaning.name in values.FUNCTIONS:
            arguments = [values.as_value(self.value(a.value, context.aside), a.span) for a in node.args]
            return values.call_function(meaning.name, arguments, node.span)
        return self.apply(meaning, node.args, node.span, context, instance)

    def apply(
        self,
        meaning: Meaning,
        args: tuple[syntax.Arg, ...],
        span: Span,
        context: Context,
        instance: str | None = None,
    ) -> Meaning:
        """Apply a block or an operator to the value that reaches it."""
        raise NotImplementedError


_DIMENSIONS = {3: ("channels", "height", "width"), 2: ("tokens", "channels"), 1: ("channels",)}

_METHODS: Mapping[type, str] = {
    syntax.Number: "number",
    syntax.Bool: "boolean",
    syntax.Quantity: "quantity",
    syntax.String: "string",
    syntax.Ref: "reference",
    syntax.In: "here",
    syntax.Attr: "attribute",
    syntax.Unary: "unary",
    syntax.Binary: "binary",
    syntax.Compare: "binary",
    syntax.Logic: "logic",
    syntax.Pick: "pick",
    syntax.ChooseValue: "choose_value",
    syntax.ChooseValues: "choose_values",
    syntax.Named: "named",
    syntax.Call: "call",
    syntax.Pipe: "pipe",
    syntax.MergeCall: "merge_call",
    syntax.MergeBranches: "merge_branches",
    syntax.MergeSubset: "merge_subset",
    syntax.Residual: "residual",
    syntax.If: "condition",
    syntax.Repeat: "repeat",
    syntax.ChoosePath: "choose_path",
}
"""The method for each kind of expression, in this class or in `Wiring`."""
