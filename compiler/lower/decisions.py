"""The decisions of a space as they are made: their paths, their options, and what ties them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, combinations
from math import comb
from typing import Literal as OneOf

from compiler.ir.expression import Literal, Scalar, Value, show
from compiler.ir.graph import Decision
from compiler.lower.place import Ties, key_of
from compiler.lower.scope import Context, Problem
from compiler.lower.values import OPTIONS_CAP
from dsl import syntax
from dsl.diagnostic import Note
from dsl.source import Span


@dataclass
class Decisions:
    """Makes the decisions of one space; a path names one of them."""

    paths: set[str] = field(default_factory=set)
    blocks: dict[str, Ties] = field(default_factory=dict)
    _called: dict[str, Span] = field(default_factory=dict)

    def value(self, options: Sequence[Literal], span: Span, context: Context) -> Value:
        """A decision between values as an expression; one with a single option is that option."""
        if len(options) == 1:
            return options[0]
        return self.declare(options, "value", span, context.label or "choice", context).choice

    def declare(
        self,
        options: Sequence[Literal],
        kind: OneOf["value", "path"],
        span: Span,
        name: str,
        context: Context,
    ) -> Decision:
        """Make a decision where `context` stands; in a tied block find the one that its other instances made.

        Raises:
            Problem: another instance has other options.
        """
        ties = context.place.ties
        decision = ties.decisions.get(key_of(span)) if ties else None
        if decision is None:
            path = self._unique(_path(name, context))
            decision = Decision(path, tuple(options), kind, span)
            if ties:
                ties.decisions[key_of(span)] = decision
                self._called[path] = _call(span, context)
        elif decision.options != tuple(options):
            raise _differs(decision, options, span, self._called[decision.path])
        context.scope.declare(replace(decision, condition=context.when))
        return decision

    def tied_block(self, block: syntax.Block) -> Ties:
        """What all instances of a tied block share."""
        if block.name not in self.blocks:
            self.blocks[block.name] = Ties(self._unique(block.name))
        return self.blocks[block.name]

    def _unique(self, path: str) -> str:
        """The path, numbered where another decision has it: names of tied blocks are drawn apart from places."""
        number, unique = 1, path
        while unique in self.paths:
            number += 1
            unique = f"{path}_{number}"
        self.paths.add(unique)
        return unique


def _path(name: str, context: Context) -> str:
    """A new path: the bound name's own for the decision that is bound to it."""
    named = context.bound if context.bound and context.bound.name == context.label == name else None
    taken = named.take() if named else None
    return taken or (context.place.ties or context.place).name(name)


def _call(span: Span, context: Context) -> Span:
    """The call in the space that leads here."""
    return context.calls[0][1] if context.calls else span


def _differs(decision: Decision, options: Sequence[Literal], span: Span, first: Span) -> Problem:
    ours, theirs = set(options), set(decision.options)
    strange = next(
        iter([option for option in (*decision.options, *options) if option in ours ^ theirs]), None
    )
    what = "they differ in order" if strange is None else f"only one of them has `{show(strange)}`"
    message = f"two instances of a tied block have other candidates here: {what}"
    hint = "all instances share the decision: give it the same candidates everywhere, or leave out `tied`"
    return Problem("E0326", message, span, hint, (Note("the first instance is in this call", first),))


def subsets(members: Sequence[Scalar], least: int, most: int, span: Span) -> list[Literal]:
    """The sets of `least` to `most` of the members: few first, each in the order in which they are written.

    Raises:
        Problem: there are not so many members, or too many sets.
    """
    if most > len(members) or least > most:
        picks = f"{least}" if least == most else f"{least} to {most}"
        raise Problem("E0327", f"{picks} of {len(members)} cannot be picked", span)
    if sum(comb(len(members), number) for number in range(least, most + 1)) > OPTIONS_CAP:
        raise Problem("E0307", f"more than {OPTIONS_CAP:,} options", span)
    return list(chain.from_iterable(combinations(members, number) for number in range(least, most + 1)))
