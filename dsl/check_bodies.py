"""Static checks inside braces: names, arguments, pipes, labels. Nothing is evaluated or expanded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dsl import syntax
from dsl.diagnostic import Diagnostic, Note
from dsl.labels import implied_label, labels
from dsl.names import Globals, Kind, Local, Scope
from dsl.signature import Signature, argument_problems, missing_arguments
from dsl.source import Span
from dsl.suggest import did_you_mean, listed

ATTRIBUTES = ("channels", "height", "width", "tokens")
_NUMBERS = (syntax.Number, syntax.Bool, syntax.RangeChoice, syntax.Unary, syntax.Binary)
_TENSORS = (
    syntax.In,
    syntax.Pipe,
    syntax.If,
    syntax.Repeat,
    syntax.Residual,
    syntax.MergeCall,
    syntax.MergeBranches,
    syntax.MergeSubset,
    syntax.ChoosePath,
)


class BodyChecker:
    """Walks the bodies of one file and reports through a callback, one message a mistake."""

    def __init__(self, known: Globals, report: Callable[[Diagnostic], None]) -> None:
        self.known = known
        self.report = report
        # Whether an `in` was read where there is none: the inputs that nobody reads were meant by it.
        self.missed_in = False

    # Names

    def declare(self, scope: Scope, name: str, kind: Kind, span: Span) -> None:
        """Bind a name in a scope; a name means one thing in a file and its braces."""
        twice = scope.find(name)
        if twice is not None:
            notes = (Note("first bound here", twice.span),)
            self.report(Diagnostic("E0102", f"`{name}` is bound twice", span, "choose another name", notes))
        elif name in self.known.callables or name in self.known.constants:
            what = self.known.callables[name].kind if name in self.known.callables else "constant"
            self.report(
                Diagnostic("E0104", f"`{name}` hides the {what} of that name", span, "choose another name")
            )
        scope.locals[name] = Local(name, kind, span)

    def lookup(self, node: syntax.Ref, scope: Scope) -> Local | Signature | None:
        """What a name means; None for a constant, and for what is reported as unknown."""
        local = scope.find(node.name)
        if local is not None:
            local.read = True
            return local
        later = scope.bound_later(node.name)
        if later is not None:
            notes = (Note("bound here", later),)
            self.report(
                Diagnostic("E0103", f"`{node.name}` is used before it is bound", node.span, notes=notes)
            )
            return None
        if node.name in self.known.callables:
            return self.known.callables[node.name]
        if node.name not in self.known.constants and not self.known.forgives(node.name):
            names = [*scope.visible(), *self.known.callables, *self.known.constants, "true", "false"]
            message = f"nothing is named `{node.name}` here"
            hint = self._bound_elsewhere(node.name) or did_you_mean(node.name, names)
            self.report(Diagnostic("E0101", message, node.span, hint))
        return None

    def _bound_elsewhere(self, name: str) -> str | None:
        """A hint where the name is bound in a space: blocks do not see it."""
        space = self.known.bound_in.get(name)
        if space is None:
            return None
        return f"it is bound in the space `{space}`, and a block does not see that: give it as an argument"

    # Bodies

    def body(self, body: syntax.Body, scope: Scope) -> None:
        """A body, in a scope of its own: bindings first, one pipe last, every binding read."""
        bound = {each.name: each.name_span or each.span for each in body.bindings}
        scope.later = bound
        for index, statement in enumerate(body.statements):
            if isinstance(statement, syntax.Bind):
                self.value(statement.value, scope)
                self._bind(statement, scope)
            else:
                self.pipe(statement, scope)
                if index + 1 < len(body.statements):
                    hint = "put `->` before the next statement, or bind this one to a name"
                    self.report(Diagnostic("E0111", "this pipe's value is lost", _last_step(statement), hint))
        if body.result is None:
            self._no_result(body)
            # Most likely the last binding was to be the result: one mistake, one message.
            bound = {each.name: bound[each.name] for each in body.bindings[:-1]}
        self.unread(scope, bound)

    def _bind(self, statement: syntax.Bind, scope: Scope) -> None:
        later = dict(scope.later)
        later.pop(statement.name, None)
        scope.later = later
        kind = self.kind_of(statement.value, scope)
        self.declare(scope, statement.name, kind, statement.name_span or statement.span)

    def _no_result(self, body: syntax.Body) -> None:
        if body.statements:
            message, span = "this body ends with a binding and makes no value", body.statements[-1].span
            hint = f"end it with a pipe: to give the value just bound, write `{body.bindings[-1].name}`"
        else:
            message, span, hint = "this body is empty", body.span, "to pass the value on, write `identity`"
        self.report(Diagnostic("E0110", message, span, hint))

    def unread(self, scope: Scope, names: dict[str, Span]) -> None:
        """Report each of these bindings that nobody reads."""
        for name, span in names.items():
            local = scope.locals.get(name)
            if local is not None and not local.read:
                self.report(Diagnostic("E0112", f"nobody reads `{name}`", span, "use it, or remove it"))

    def inner(
        self, body: syntax.Body, scope: Scope, has_in: bool, index: syntax.Repeat | None = None
    ) -> None:
        """A body in braces inside others."""
        within = Scope(has_in, scope)
        if index is not None and index.index is not None:
            self.declare(within, index.index, "value", index.name_span or index.span)
        self.body(body, within)

    # Pipes

    def pipe(self, pipe: syntax.Pipe, scope: Scope) -> None:
        """A pipe whose head is a step, as a statement is."""
        for index, step in enumerate(pipe.steps):
            self.step(step, scope, head=index == 0)

    def step(self, step: syntax.Expr, scope: Scope, head: bool) -> None:
        """One step: a bare name of a block or an operator is applied here."""
        if isinstance(step, syntax.Named):
            self.step(step.value, scope, head)
        elif isinstance(step, syntax.Ref):
            self._bare_name(step, scope, head)
        elif isinstance(step, syntax.In) and not head:
            self._not_a_step(step, "`in` is a tensor")
        elif isinstance(step, syntax.Attr) and not head and isinstance(step.base, syntax.In):
            self._not_a_step(step, f"`{step.span.text}` is a value")
        else:
            if isinstance(step, syntax.Call):
                self._called_step(step, scope, head)
            self.value(step, scope, has_in=scope.has_in or not head)

    def _called_step(self, step: syntax.Call, scope: Scope, head: bool) -> None:
        meaning = self.known.callables.get(step.callee.name) if isinstance(step.callee, syntax.Ref) else None
        if head:
            self._needs_in(step.callee, scope)
        elif meaning is not None and meaning.kind == "function":
            self._not_a_step(step.callee, f"`{meaning.name}` makes a value")

    def _bare_name(self, step: syntax.Ref, scope: Scope, head: bool) -> None:
        meaning = self.lookup(step, scope)
        if isinstance(meaning, Signature):
            if head:
                self._needs_in(step, scope)
            for problem in missing_arguments(meaning, (), step.span):
                self.report(problem)
        elif isinstance(meaning, Local) and not head and meaning.kind == "tensor":
            self._not_a_step(step, f"`{step.name}` is a tensor")
        elif isinstance(meaning, Local) and meaning.kind == "value":
            self._value_for_step(step, head)

    def _not_a_step(self, step: syntax.Expr, what: str) -> None:
        hint = "a pipe starts at a tensor; to join two, write `add(a, b)` or `concat(a, b)`"
        self.report(Diagnostic("E0106", f"after `->` stands a step, and {what}", step.span, hint))

    def _value_for_step(self, step: syntax.Ref, head: bool) -> None:
        where = "a pipe starts at a tensor or a step" if head else "after `->` stands a step"
        message = f"{where}, and `{step.name}` is a value"
        hint = f"give it to a step as an argument, as in `conv({step.name}, 3)`"
        self.report(Diagnostic("E0106", message, step.span, hint))

    def _needs_in(self, callee: syntax.Ref | syntax.Attr, scope: Scope) -> None:
        """An operator at a pipe's head reads `in`; a block there may ignore it."""
        meaning = self.known.callables.get(callee.name) if isinstance(callee, syntax.Ref) else None
        if meaning is not None and meaning.kind == "operator" and not scope.has_in:
            self._no_in(callee.span, f"`{callee.name}` reads `in`, and there is none here")

    def _no_in(self, span: Span, message: str) -> None:
        self.missed_in = True
        hint = "name the input that the pipe starts at: a space with several inputs has no `in`"
        self.report(Diagnostic("E0105", message, span, hint))

    # Values and wiring

    def value(self, node: syntax.Expr, scope: Scope, has_in: bool | None = None) -> None:
        """A value or a wiring construct; `has_in` is what enters its braces, by default what entered these."""
        enters = scope.has_in if has_in is None else has_in
        match node:
            case syntax.Ref():
                self.lookup(node, scope)
            case syntax.In():
                if not scope.has_in:
                    self._no_in(node.span, "there is no `in` here")
            case syntax.Attr():
                self._attribute(node, scope)
            case syntax.Call():
                self._call(node, scope)
            case syntax.Named():
                self.value(node.value, scope, has_in)
            case syntax.Unary():
                self.value(node.operand, scope)
            case syntax.Binary() | syntax.Compare() | syntax.Logic():
                self.value(node.left, scope)
                self.value(node.right, scope)
            case syntax.Pick():
                for each in (node.condition, node.then, node.otherwise):
                    self.value(each, scope)
            case syntax.ChooseValue() | syntax.ChooseValues():
                self._choices(node, scope)
            case syntax.Pipe():
                self.pipe(node, scope)
            case syntax.If() | syntax.Repeat() | syntax.Residual():
                self._braces(node, scope, enters)
            case syntax.MergeCall():
                self._merge_call(node, scope)
            case syntax.MergeBranches() | syntax.MergeSubset() | syntax.ChoosePath():
                self._branches(node, scope, enters)
            case _:
                pass

    def _attribute(self, node: syntax.Attr, scope: Scope) -> None:
        if isinstance(node.base, syntax.Ref) and self.known.open_world and scope.find(node.base.name) is None:
            return
        if self._is_library(node.base, scope):
            self._unknown_in_library(node)
            return
        self.value(node.base, scope)
        if node.name not in ATTRIBUTES:
            hint = did_you_mean(node.name, ATTRIBUTES) or f"there are {', '.join(ATTRIBUTES)}"
            self.report(Diagnostic("E0107", f"a tensor has no `{node.name}`", node.span, hint))

    def _is_library(self, base: syntax.Expr, scope: Scope) -> bool:
        """Whether a name is that of a used file: `lib` of `use "…" as lib`."""
        if not isinstance(base, syntax.Ref) or scope.find(base.name) is not None:
            return False
        return any(
            name.startswith(f"{base.name}.") for name in (*self.known.callables, *self.known.constants)
        )

    def _unknown_in_library(self, node: syntax.Attr) -> None:
        """What a used file does have is one name by now, and no attribute."""
        name = f"{node.base.span.text}.{node.name}"
        library = f"{node.base.span.text}."
        known = [each for each in (*self.known.callables, *self.known.constants) if each.startswith(library)]
        hint = did_you_mean(name, known) or f"it has {listed([f'`{each}`' for each in sorted(known)], 'and')}"
        self.report(Diagnostic("E0101", f"nothing is named `{name}`", node.span, hint))

    def _call(self, node: syntax.Call, scope: Scope) -> None:
        if isinstance(node.callee, syntax.Attr) and self._is_library(node.callee.base, scope):
            self._unknown_in_library(node.callee)
        if isinstance(node.callee, syntax.Ref):
            meaning = self.lookup(node.callee, scope)
            if isinstance(meaning, Signature):
                for problem in argument_problems(meaning, node.args, node.span):
                    self.report(problem)
            elif node.callee.name in self.known.constants or (
                isinstance(meaning, Local) and meaning.kind in ("tensor", "value")
            ):
                message = f"`{node.callee.name}` is a value and cannot be called"
                self.report(Diagnostic("E0125", message, node.callee.span))
        for arg in node.args:
            self.value(arg.value, scope)

    def _merge_call(self, node: syntax.MergeCall, scope: Scope) -> None:
        for arg in node.args:
            if arg.name is not None:
                message = f"`{node.kind}` has no parameter `{arg.name}`"
                self.report(Diagnostic("E0120", message, arg.name_span or arg.span, "it takes tensors only"))
            self.value(arg.value, scope)

    def _choices(self, node: syntax.ChooseValue | syntax.ChooseValues, scope: Scope) -> None:
        parts = [*node.choices, *([node.count] if isinstance(node, syntax.ChooseValues) else [])]
        for part in parts:
            self._bounds(part, scope)

    def _bounds(self, node: syntax.Expr | syntax.RangeChoice, scope: Scope) -> None:
        if isinstance(node, syntax.RangeChoice):
            for each in (node.start, node.stop, node.step):
                if each is not None:
                    self.value(each, scope)
        else:
            self.value(node, scope)

    def _braces(self, node: syntax.If | syntax.Repeat | syntax.Residual, scope: Scope, has_in: bool) -> None:
        if isinstance(node, syntax.If):
            self.value(node.condition, scope)
            self.inner(node.then, scope, has_in)
            if isinstance(node.otherwise, syntax.If):
                self._braces(node.otherwise, scope, has_in)
            elif node.otherwise is not None:
                self.inner(node.otherwise, scope, has_in)
        elif isinstance(node, syntax.Repeat):
            self.value(node.count, scope)
            self.inner(node.body, scope, has_in, node)
        else:
            if node.condition is not None:
                self.value(node.condition, scope)
            if not has_in:
                self._no_in(node.span, "`residual` adds `in`, and there is none here")
            self.inner(node.body, scope, has_in)

    def _branches(
        self, node: syntax.MergeBranches | syntax.MergeSubset | syntax.ChoosePath, scope: Scope, has_in: bool
    ) -> None:
        if isinstance(node, syntax.MergeSubset):
            self._bounds(node.count, scope)
        for branch in node.branches:
            if branch.when is not None:
                self.value(branch.when, scope)
            self.inner(branch.body, scope, has_in)
        if not isinstance(node, syntax.MergeBranches):
            self._labels(node.branches, subset=isinstance(node, syntax.MergeSubset))

    def _labels(self, branches: Sequence[syntax.Branch], subset: bool) -> None:
        taken: dict[str, Span] = {}
        for branch, label in zip(branches, labels(branches, subset), strict=True):
            if label is None and branch.body.result is not None:
                message = "a candidate that is not a single call needs a label"
                self.report(Diagnostic("E0130", message, branch.span, f"write `label: {_start(branch)} …`"))
            name = branch.label or implied_label(branch, subset)
            if branch.label is not None and branch.label in taken:
                notes = (Note("first here", taken[branch.label]),)
                message = f"two candidates have the label `{branch.label}`"
                self.report(Diagnostic("E0131", message, branch.name_span or branch.span, notes=notes))
            if name is not None:
                taken.setdefault(name, branch.name_span or branch.span)

    def kind_of(self, node: syntax.Expr, scope: Scope) -> Kind:
        """What a bound name is: told from its shape alone."""
        if isinstance(node, syntax.Named):
            return self.kind_of(node.value, scope)
        if isinstance(node, _TENSORS):
            return "tensor"
        if isinstance(node, syntax.Ref):
            local = scope.find(node.name)
            if local is not None:
                return local.kind
            return "reference" if node.name in self.known.callables else "value"
        if isinstance(node, syntax.Call):
            meaning = self.known.callables.get(node.callee.name)
            return "unknown" if meaning is None else "value" if meaning.kind == "function" else "tensor"
        if isinstance(node, syntax.ChooseValue):
            # A choice between steps is one.
            return "value" if all(isinstance(each, _NUMBERS) for each in node.choices) else "unknown"
        return "unknown" if isinstance(node, syntax.Pick) else "value"


def _last_step(pipe: syntax.Pipe) -> Span:
    return pipe.steps[-1].span


def _start(branch: syntax.Branch) -> str:
    pipe = branch.body.result
    return pipe.steps[0].span.text.split("\n")[0][:40] if pipe is not None else ""
