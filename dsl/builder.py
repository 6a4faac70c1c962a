"""Lark's tree to the syntax tree: one method a grammar rule, called from the leaves up without recursion."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from dsl import syntax
from dsl.diagnostic import Diagnostic, DiagnosticError
from dsl.limits import MAXIMUM_TREE_DEPTH
from dsl.scan import unquoted
from dsl.source import Source, Span

if TYPE_CHECKING:
    from lark import Token, Tree

# What a rule gets: built nodes, tokens, None for an absent optional part, lists from `branches` and the like.
Parts = list[Any]


def build(source: Source, root: Tree[Token]) -> syntax.File:
    """The file that a parse tree stands for.

    Raises:
        DiagnosticError: the tree is deeper than the cap, say a sum of 500 terms.
    """
    from lark import Tree

    order: list[Tree[Token]] = []
    pending = [root]
    while pending:
        order.append(tree := pending.pop())
        pending += [child for child in tree.children if isinstance(child, Tree)]
    builder = Builder(source)
    built: dict[int, Any] = {}
    depths: dict[int, int] = {}
    # Parents come before their children in `order`, so that reversed every child is built when it is needed.
    for tree in reversed(order):
        trees = [child for child in tree.children if isinstance(child, Tree)]
        depths[id(tree)] = 1 + max((depths[id(child)] for child in trees), default=0)
        span = builder.span(tree)
        if depths[id(tree)] > MAXIMUM_TREE_DEPTH:
            raise DiagnosticError([_too_deep(span)])
        parts = [built[id(child)] if isinstance(child, Tree) else child for child in tree.children]
        built[id(tree)] = getattr(builder, tree.data)(span, parts)
    file: syntax.File = built[id(root)]
    return file


def _too_deep(span: Span) -> Diagnostic:
    message = f"this is nested more than {MAXIMUM_TREE_DEPTH} levels deep"
    return Diagnostic("E0004", message, span, "bind a part of it to a name, or move it to a block")


def exact(text: str) -> syntax.Exact:
    """The number a literal stands for: an int where it is integral."""
    value = Fraction(text)
    return value.numerator if value.denominator == 1 else value


class Builder:
    """Makes each node from its span and its parts; methods are named after the grammar's rules."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def span(self, tree: Tree[Token]) -> Span:
        """A tree's span, from its first token to its last; an empty file's tree has none."""
        meta = tree.meta
        return self.source.span(0, 0) if meta.empty else self.source.span(meta.start_pos, meta.end_pos)

    def at(self, token: Token | None) -> Span | None:
        """A token's span."""
        return None if token is None else self.source.span(token.start_pos or 0, token.end_pos or 0)

    # Items

    def start(self, span: Span, parts: Parts) -> syntax.File:
        return syntax.File(tuple(parts), span=self.source.span(0, len(self.source.text)))

    def use(self, span: Span, parts: Parts) -> syntax.Use:
        path, name = parts
        return syntax.Use(path, _text(name), span=span, name_span=self.at(name))

    def constant(self, span: Span, parts: Parts) -> syntax.Constant:
        name, value = parts
        return syntax.Constant(str(name), value, span=span, name_span=self.at(name))

    def block(self, span: Span, parts: Parts) -> syntax.Block:
        tied, name, *rest, body = parts
        params = tuple(each for each in rest if each is not None)
        return syntax.Block(str(name), params, body, tied is not None, span=span, name_span=self.at(name))

    def param(self, span: Span, parts: Parts) -> syntax.Param:
        name, default = parts
        return syntax.Param(str(name), default, span=span, name_span=self.at(name))

    def space(self, span: Span, parts: Parts) -> syntax.Space:
        name, *rest = parts
        statements = [each for each in rest if isinstance(each, syntax.Bind | syntax.Pipe)]
        return syntax.Space(
            str(name),
            tuple(each for each in rest if isinstance(each, syntax.Input)),
            tuple(each for each in rest if isinstance(each, syntax.Output)),
            self._body(span, statements),
            tuple(each for each in rest if isinstance(each, syntax.Cap)),
            span=span,
            name_span=self.at(name),
        )

    def input(self, span: Span, parts: Parts) -> syntax.Input:
        name, *dimensions = parts
        return syntax.Input(_text(name), tuple(dimensions), span=span, name_span=self.at(name))

    def output(self, span: Span, parts: Parts) -> syntax.Output:
        return syntax.Output(tuple(parts), span=span)

    def require(self, span: Span, parts: Parts) -> syntax.Cap:
        cap: syntax.Cap = parts[0]
        return cap

    def cap(self, span: Span, parts: Parts) -> syntax.Cap:
        name, relation, limit, target = parts
        text, place = target if target is not None else (None, None)
        return syntax.Cap(
            str(name), relation.value, limit, text, span=span, name_span=self.at(name), target_span=place
        )

    def place(self, span: Span, parts: Parts) -> tuple[str, Span]:
        return ".".join(str(each) for each in parts if each is not None), span

    def target(self, span: Span, parts: Parts) -> syntax.Target:
        name, *settings = parts
        return syntax.Target(str(name), tuple(settings), span=span, name_span=self.at(name))

    def search(self, span: Span, parts: Parts) -> syntax.Search:
        space, name, *rest = parts
        settings = tuple(each for each in rest if isinstance(each, syntax.Setting))
        caps = tuple(each for each in rest if isinstance(each, syntax.Cap))
        return syntax.Search(str(space), _text(name), settings, caps, span=span, name_span=self.at(space))

    def train(self, span: Span, parts: Parts) -> syntax.Train:
        space, *settings = parts
        return syntax.Train(str(space), tuple(settings), span=span, name_span=self.at(space))

    def setting(self, span: Span, parts: Parts) -> syntax.Setting:
        name, value = parts
        return syntax.Setting(str(name), value, span=span, name_span=self.at(name))

    # Wiring

    def _body(self, span: Span, statements: Parts) -> syntax.Body:
        return syntax.Body(tuple(statements), span=span)

    body = branch_body = _body

    def bind(self, span: Span, parts: Parts) -> syntax.Bind:
        name, value = parts
        return syntax.Bind(str(name), value, span=span, name_span=self.at(name))

    def pipe(self, span: Span, parts: Parts) -> syntax.Pipe:
        return syntax.Pipe(tuple(parts), span=span)

    def if_(self, span: Span, parts: Parts) -> syntax.If:
        condition, then, otherwise = parts
        return syntax.If(condition, then, otherwise, span=span)

    def repeat(self, span: Span, parts: Parts) -> syntax.Repeat:
        tied, count, index, body = parts
        return syntax.Repeat(count, _text(index), body, tied is not None, span=span, name_span=self.at(index))

    def residual(self, span: Span, parts: Parts) -> syntax.Residual:
        condition, body = parts
        return syntax.Residual(condition, body, span=span)

    def merge_call(self, span: Span, parts: Parts) -> syntax.MergeCall:
        kind, *args = parts
        return syntax.MergeCall(kind.value, tuple(args), span=span)

    def merge_branches(self, span: Span, parts: Parts) -> syntax.MergeBranches:
        kind, branches = parts
        return syntax.MergeBranches(kind.value, branches, span=span)

    def merge_subset(self, span: Span, parts: Parts) -> syntax.MergeSubset:
        kind, count, branches, name = parts
        return syntax.MergeSubset(
            kind.value, count, branches, _text(name), span=span, name_span=self.at(name)
        )

    def choose_path(self, span: Span, parts: Parts) -> syntax.ChoosePath:
        branches, name = parts
        return syntax.ChoosePath(branches, _text(name), span=span, name_span=self.at(name))

    def branches(self, span: Span, parts: Parts) -> tuple[syntax.Branch, ...]:
        return tuple(parts)

    def branch(self, span: Span, parts: Parts) -> syntax.Branch:
        label, body, when = parts
        return syntax.Branch(_text(label), body, when, span=span, name_span=self.at(label))

    # Values

    def named(self, span: Span, parts: Parts) -> syntax.Named:
        value, name = parts
        return syntax.Named(value, str(name), span=span, name_span=self.at(name))

    def ref(self, span: Span, parts: Parts) -> syntax.Ref:
        return syntax.Ref(str(parts[0]), span=span)

    def attr(self, span: Span, parts: Parts) -> syntax.Attr:
        base, name = parts
        return syntax.Attr(base, str(name), span=span)

    def here(self, span: Span, parts: Parts) -> syntax.In:
        return syntax.In(span=span)

    def call(self, span: Span, parts: Parts) -> syntax.Call:
        callee, *args = parts
        return syntax.Call(callee, tuple(each for each in args if each is not None), span=span)

    def arg(self, span: Span, parts: Parts) -> syntax.Arg:
        name, value = parts
        return syntax.Arg(_text(name), value, span=span, name_span=self.at(name))

    def pick(self, span: Span, parts: Parts) -> syntax.Pick:
        return syntax.Pick(*parts, span=span)

    def or_(self, span: Span, parts: Parts) -> syntax.Logic:
        return syntax.Logic("or", *parts, span=span)

    def and_(self, span: Span, parts: Parts) -> syntax.Logic:
        return syntax.Logic("and", *parts, span=span)

    def not_(self, span: Span, parts: Parts) -> syntax.Unary:
        return syntax.Unary("not", parts[0], span=span)

    def negative(self, span: Span, parts: Parts) -> syntax.Unary:
        return syntax.Unary("-", parts[0], span=span)

    def compare(self, span: Span, parts: Parts) -> syntax.Compare:
        left, operator, right = parts
        return syntax.Compare(operator.value, left, right, span=span)

    def binary(self, span: Span, parts: Parts) -> syntax.Binary:
        left, operator, right = parts
        return syntax.Binary(operator.value, left, right, span=span)

    def choose_value(self, span: Span, parts: Parts) -> syntax.ChooseValue:
        return syntax.ChooseValue(tuple(parts), span=span)

    def choose_values(self, span: Span, parts: Parts) -> syntax.ChooseValues:
        count, *choices = parts
        return syntax.ChooseValues(count, tuple(choices), span=span)

    def range(self, span: Span, parts: Parts) -> syntax.RangeChoice:
        start, stop, step = [*parts, None][:3]
        return syntax.RangeChoice(start, stop, step, span=span)

    def number(self, span: Span, parts: Parts) -> syntax.Number:
        return syntax.Number(exact(parts[0]), span=span)

    def quantity(self, span: Span, parts: Parts) -> syntax.Quantity:
        number, unit = re.fullmatch(r"(.*[0-9])\s*([A-Za-z]+)", parts[0]).groups()  # type: ignore[union-attr]
        return syntax.Quantity(exact(number), unit, span=span)

    def string(self, span: Span, parts: Parts) -> syntax.String:
        # A literal with an unknown escape was reported by the scan; its spelling stands in for its value.
        value = unquoted(parts[0])
        return syntax.String(parts[0][1:-1] if value is None else value, span=span)

    def bool(self, span: Span, parts: Parts) -> syntax.Bool:
        return syntax.Bool(parts[0].type == "TRUE", span=span)


def _text(token: Token | None) -> str | None:
    return None if token is None else str(token)
