"""Expressions: what names, arithmetic, conditions and decisions between values mean where they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from compiler.ir.expression import Literal, Value, apply, is_symbolic, settle, show
from compiler.ir.ops import OPERATORS
from compiler.lower import values
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


@dataclass
class Expressions:
    """Lowers expressions. `names` holds the file's constants; `report` takes each mistake, once."""

    blocks: Mapping[str, syntax.Block]
    names: Mapping[str, Meaning]
    report: Report

    def value(self, node: syntax.Expr, context: Context) -> Meaning:
        """What an expression means; wiring in it is applied to what reaches it."""
        return getattr(self, _METHODS[type(node)])(node, context)  # type: ignore[no-any-return]

    def guarded(self, function: Callable[[], Meaning], context: Context) -> Meaning:
        """What `function` gives, or poison where it reports a mistake."""
        try:
            return function()
        except Exhausted:
            raise
        except Problem as problem:
            self.report(problem, context)
        except Poisoned:
            pass
        return POISON

    def bound(self, node: syntax.Expr, context: Context) -> Meaning:
        """What an expression means to the name it is bound to: poison where it is wrong."""
        return self.guarded(lambda: self.value(node, context), context)

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

    def entering(self, context: Context, span: Span) -> Tensor:
        """The value that a step is applied to."""
        current = context.piped or context.here
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
            raise Problem("E0399", "`contains` and decisions over sets are not supported yet", node.span)
        return values.attempt(node.span, lambda: apply(node.operator, left, right))

    def logic(self, node: syntax.Logic, context: Context) -> Meaning:
        """`and`, `or`: the right side is not evaluated where a constant left side decides."""
        left = values.as_value(self.value(node.left, context), node.left.span)
        if isinstance(left, bool) and left is (node.operator == "or"):
            return left
        right = values.as_value(self.value(node.right, context), node.right.span)
        if isinstance(left, bool):
            return values.attempt(node.span, lambda: apply("and", right, True))
        return values.attempt(node.span, lambda: apply(node.operator, left, right))

    def pick(self, node: syntax.Pick, context: Context) -> Meaning:
        condition = self.truth(node.condition, context)
        if not is_symbolic(condition):
            return self.value(node.then if condition else node.otherwise, context)
        then, otherwise = (self._arm_value(each, context) for each in (node.then, node.otherwise))
        return values.attempt(node.span, lambda: apply("if", condition, then, otherwise))

    def _arm_value(self, node: syntax.Expr, context: Context) -> Value:
        """An arm of a value that a decision picks; a decision inside it would exist only with that arm."""
        before = context.scope.builder.decided
        value = values.as_value(self.value(node, context), node.span)
        if context.scope.builder.decided > before:
            message = (
                "a decision inside `if … then … else` whose condition is a decision is not supported yet"
            )
            raise Problem("E0399", message, node.span, "bind it before, or use `if { … }` around the wiring")
        return value

    def truth(self, node: syntax.Expr, context: Context) -> Value:
        condition = settle(values.as_value(self.value(node, context.aside), node.span))
        if not is_symbolic(condition) and not isinstance(condition, bool):
            raise Problem("E0311", f"a condition is true or false, not {show(condition)}", node.span)
        return condition

    def choose_value(self, node: syntax.ChooseValue, context: Context) -> Meaning:
        options: list[Literal] = []
        for choice in node.choices:
            if isinstance(choice, syntax.RangeChoice):
                ends = [self._constant(end, context) for end in (choice.start, choice.stop)]
                step = self._constant(choice.step, context) if choice.step else 1
                options.extend(values.spread(ends[0], ends[1], step, choice.span))
            else:
                options.append(self._option(choice, context))
        return values.decide(options, node, context, "choice")

    def _constant(self, node: syntax.Expr, context: Context) -> Literal:
        return values.as_constant(self.value(node, context.aside), node.span, "an option of a decision")

    def _option(self, node: syntax.Expr, context: Context) -> Literal:
        meaning = self.value(node, replace(context.aside, label=None))
        if isinstance(meaning, Function):
            return meaning.name
        return values.as_constant(meaning, node.span, "an option of a decision")

    def choose_values(self, node: syntax.ChooseValues, context: Context) -> Meaning:
        raise Problem("E0399", "`choose … of ( … )` is not supported yet", node.span)

    def named(self, node: syntax.Named, context: Context) -> Meaning:
        """`… as name`: names the decision, or the instance of the block."""
        if isinstance(node.value, syntax.Call):
            return self.call(node.value, replace(context, instance=False), node.name)
        return self.value(node.value, replace(context, label=node.name))

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
