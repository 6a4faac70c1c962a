"""The canonical text of a tree: `parse` of it is the tree again.

Expressions become words, each of which stays on one line; `dsl.layout` breaks lines between them. A new line
may stand between any two words of the language.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction

from dsl import syntax
from dsl.limits import MAXIMUM_DIGITS, MAXIMUM_EXPONENT

Words = list[str]
Braced = (
    syntax.If
    | syntax.Repeat
    | syntax.Residual
    | syntax.MergeBranches
    | syntax.MergeSubset
    | syntax.ChoosePath
)

# Binding strength; a part that binds less than its place asks for stands in parentheses.
_VALUE, _OR, _AND, _NOT, _COMPARISON, _SUM, _TERM, _UNARY, _OPERAND = range(9)
_LONGEST_DECIMAL = 8
_QUANTITY = re.compile(r"[^\"]*[0-9] [A-Za-z]+")


def _strength(node: syntax.Expr) -> int:
    match node:
        case syntax.Pick() | syntax.Pipe() | syntax.MergeCall():
            return _VALUE
        case syntax.Logic():
            return _OR if node.operator == "or" else _AND
        case syntax.Unary():
            return _NOT if node.operator == "not" else _UNARY
        case syntax.Compare():
            return _COMPARISON
        case syntax.Binary():
            return _SUM if node.operator in "+-" else _TERM
        case _:
            return _VALUE if isinstance(node, Braced) else _OPERAND


def glued(*parts: str | Words) -> Words:
    """Words put end to end without a space between the parts."""
    found: Words = []
    for part in parts:
        words = [part] if isinstance(part, str) else part
        if found and words:
            found[-1] += words[0]
            found += words[1:]
        else:
            found += words
    return found


def listed(parts: Iterable[Words]) -> Words:
    """Words with commas between the parts."""
    found: Words = []
    for part in parts:
        if found:
            found[-1] += ","
        found += part
    return found


def joined(parts: Iterable[Words], by: str) -> Words:
    """Words with a word of its own between the parts."""
    found: Words = []
    for index, part in enumerate(parts):
        found += [by, *part] if index else part
    return found


class Printer:
    """Words of nodes; with `spelled` numbers and strings stay as they were written."""

    def __init__(self, spelled: bool = False) -> None:
        self.spelled = spelled

    def words(self, node: syntax.Expr, least: int = _VALUE) -> Words:
        """The words of a value, in parentheses where it binds less than its place asks for."""
        found = self._bare(node)
        return glued("(", found, ")") if _strength(node) < least else found

    def _bare(self, node: syntax.Expr) -> Words:
        match node:
            case syntax.Number():
                return [node.span.text if self.spelled else number_text(node.value)]
            case syntax.Quantity():
                return [f"{self._quantity_number(node)} {node.unit}"]
            case syntax.String():
                return [node.span.text if self.spelled else json.dumps(node.value, ensure_ascii=False)]
            case syntax.Bool():
                return ["true" if node.value else "false"]
            case syntax.Ref():
                return [node.name]
            case syntax.In():
                return ["in"]
            case syntax.Attr():
                return [f"{self._bare(node.base)[0]}.{node.name}"]
            case syntax.Call():
                return glued(self._bare(node.callee), "(", self.args(node.args), ")")
            case syntax.Named():
                return [*self._bare(node.value), "as", node.name]
            case syntax.ChooseValue():
                return glued("choose(", listed(map(self.choice, node.choices)), ")")
            case syntax.ChooseValues():
                choices = glued("(", listed(map(self.choice, node.choices)), ")")
                return ["choose", *self.choice(node.count), "of", *choices]
            case syntax.Pipe():
                return joined([self.head(node), *map(self._bare, node.steps[1:])], "->")
            case syntax.MergeCall():
                return glued(f"{node.kind}(", self.args(node.args), ")")
            case syntax.Unary() | syntax.Binary() | syntax.Compare() | syntax.Logic() | syntax.Pick():
                return self._operation(node)
            case _:
                return self._braced(node)

    def head(self, pipe: syntax.Pipe) -> Words:
        """The words before a pipe's first arrow."""
        head = pipe.steps[0]
        words = self.words(head, _VALUE if isinstance(head, Braced | syntax.MergeCall) else _OR)
        # Before an arrow a unit would be read as a name: `x = 3` and then `s -> conv`.
        return glued("(", words, ")") if _QUANTITY.fullmatch(words[-1]) else words

    def _operation(self, node: syntax.Operation) -> Words:
        match node:
            case syntax.Unary(operator="-"):
                return glued("-", self.words(node.operand, _UNARY))
            case syntax.Unary():
                return ["not", *self.words(node.operand, _NOT)]
            case syntax.Pick():
                last = _VALUE if isinstance(node.otherwise, syntax.Pick) else _OR
                condition, then = self.words(node.condition, _OR), self.words(node.then, _OR)
                return ["if", *condition, "then", *then, "else", *self.words(node.otherwise, last)]
            case syntax.Compare():
                left = right = _SUM
            case _:
                left, right = _strength(node), _strength(node) + 1
        return [*self.words(node.left, left), node.operator, *self.words(node.right, right)]

    def _quantity_number(self, node: syntax.Quantity) -> str:
        return node.span.text[: -len(node.unit)].rstrip() if self.spelled else number_text(node.value)

    def args(self, args: Sequence[syntax.Arg]) -> Words:
        """The words between a call's parentheses; none leave one empty word."""
        named = [[*([arg.name, "="] if arg.name else []), *self.words(arg.value)] for arg in args]
        return listed(named) or [""]

    def choice(self, node: syntax.Expr | syntax.RangeChoice) -> Words:
        """The words of one choice, or of a range."""
        if not isinstance(node, syntax.RangeChoice):
            return self.words(node, _OR)
        ends = glued(self.words(node.start, _OR), "..", self.words(node.stop, _OR))
        return ends if node.step is None else [*ends, "step", *self.words(node.step, _OR)]

    # Braces

    def header(self, node: Braced) -> Words:
        """What stands before the first brace."""
        match node:
            case syntax.If():
                return ["if", *self.words(node.condition, _OR)]
            case syntax.Repeat():
                index = ["as", node.index] if node.index else []
                return [*(["tied"] if node.tied else []), "repeat", *self._count(node.count), *index]
            case syntax.Residual():
                return ["residual", *self.when(node.condition)]
            case syntax.MergeBranches():
                return [node.kind]
            case syntax.MergeSubset():
                return [node.kind, "choose", *self.choice(node.count), "of"]
            case syntax.ChoosePath():
                return ["choose"]

    def _count(self, node: syntax.Expr) -> Words:
        """A repeat's count, in parentheses unless it is one of the few that need none."""
        plain = syntax.Number | syntax.Ref | syntax.Attr | syntax.Call | syntax.ChooseValue
        return self._bare(node) if isinstance(node, plain) else glued("(", self._bare(node), ")")

    def when(self, condition: syntax.Expr | None) -> Words:
        """The words of `when …`, none where there is no condition."""
        return [] if condition is None else ["when", *self.words(condition, _OR)]

    def _braced(self, node: Braced) -> Words:
        """A construct with braces, on one line."""
        found = self.header(node)
        if isinstance(node, syntax.If):
            found += self.body(node.then)
            if node.otherwise is not None:
                chained = isinstance(node.otherwise, syntax.If)
                found += ["else", *(self._bare(node.otherwise) if chained else self.body(node.otherwise))]  # type: ignore[arg-type]
            return found
        if isinstance(node, syntax.Repeat | syntax.Residual):
            return found + self.body(node.body)
        found += ["{", *joined(map(self.branch, node.branches), "|"), "}"]
        return found + self.decision_name(node)

    def decision_name(self, node: syntax.MergeBranches | syntax.MergeSubset | syntax.ChoosePath) -> Words:
        """The words of `as name` behind a decision's braces."""
        name = None if isinstance(node, syntax.MergeBranches) else node.name
        return ["as", name] if name else []

    def body(self, body: syntax.Body) -> Words:
        """Braces and what is in them, on one line."""
        return ["{", *self.statements(body), "}"]

    def branch(self, branch: syntax.Branch) -> Words:
        """One alternative, on one line."""
        label = [f"{branch.label}:"] if branch.label else []
        return [*label, *self.statements(branch.body), *self.when(branch.when)]

    def statements(self, body: syntax.Body) -> Words:
        """Statements on one line, two spaces apart: with one, `n = 3` before `s` would be three seconds."""
        found: Words = []
        for statement in body.statements:
            if found:
                found[-1] += " "
            found += self.statement(statement)
        return found

    def statement(self, statement: syntax.Bind | syntax.Pipe) -> Words:
        """One statement, on one line."""
        if isinstance(statement, syntax.Bind):
            return [statement.name, "=", *self.words(statement.value)]
        return self._bare(statement)

    # Items

    def params(self, block: syntax.Block) -> Words:
        """`block name(a, b = 1)`."""
        named = [
            [each.name, *(["=", *self.words(each.default)] if each.default else [])] for each in block.params
        ]
        head = ["tied", "block"] if block.tied else ["block"]
        return [*head, *(glued(f"{block.name}(", listed(named), ")") if named else [block.name])]

    def dimensions(self, node: syntax.Input | syntax.Output) -> Words:
        """`input name [3, 32, 32]`, `output [10]`."""
        name = [node.name] if isinstance(node, syntax.Input) and node.name else []
        sizes = glued("[", listed(map(self.words, node.dimensions)), "]")
        return ["input" if isinstance(node, syntax.Input) else "output", *name, *sizes]

    def cap(self, cap: syntax.Cap) -> Words:
        """`latency <= 8 ms on laptop`."""
        place = ["on", cap.target] if cap.target else []
        return [cap.metric, cap.relation, *self.words(cap.limit, _SUM), *place]

    def setting(self, node: syntax.Setting | syntax.Constant) -> Words:
        """`name = value`."""
        return [node.name, "=", *self.words(node.value)]

    def use(self, node: syntax.Use) -> Words:
        """`use "path" as name`."""
        return ["use", *self._bare(node.path), *(["as", node.name] if node.name else [])]


def number_text(value: syntax.Exact) -> str:
    """A literal for a number that a literal can stand for, short and within the caps on literals."""
    scaled, places = Fraction(value), 0
    while scaled.denominator != 1:
        scaled, places = scaled * 10, places + 1
    digits = str(scaled.numerator)
    if places == 0:
        return _whole(digits)
    if places <= _LONGEST_DECIMAL:
        return _with_point(digits, places)
    exponent = min(places, MAXIMUM_EXPONENT)
    return f"{_with_point(digits, places - exponent)}e-{exponent}"


def _whole(digits: str) -> str:
    """An integer, the zeros of a very long one as an exponent."""
    exponent = min(len(digits) - len(digits.rstrip("0")), MAXIMUM_EXPONENT)
    return digits if len(digits) <= MAXIMUM_DIGITS else f"{digits[:-exponent]}e{exponent}"


def _with_point(digits: str, places: int) -> str:
    padded = digits.rjust(places + 1, "0")
    return f"{padded[:-places]}.{padded[-places:]}" if places else padded
