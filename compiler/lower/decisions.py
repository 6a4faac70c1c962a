"""The decisions of a space as they are made: their paths, their options, and what ties them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, combinations
from math import comb
from typing import Literal as OneOf

from compiler.ir.expression import Literal, Scalar, Value, show
from compiler.ir.graph import Decision
from compiler.lower.place import Key, Ties, key_of, own_name
from compiler.lower.scope import Context, Problem
from compiler.lower.values import OPTIONS_CAP
from dsl import syntax
from dsl.diagnostic import Note
from dsl.source import Span

Kind = OneOf["value", "path"]


@dataclass
class Decisions:
    """Makes the decisions of one space; a path names one of them."""

    paths: set[str] = field(default_factory=set)
    blocks: dict[Key, Ties] = field(default_factory=dict)
    _called: dict[tuple[str, Key], Span] = field(default_factory=dict)

    def value(self, options: Sequence[Literal], span: Span, context: Context) -> Value:
        """A decision between values as an expression; one with a single option is that option."""
        decision = self.declare(options, "value", span, context.label or "choice", context)
        return options[0] if decision is None else decision.choice

    def declare(
        self,
        options: Sequence[Literal],
        kind: Kind,
        span: Span,
        name: str,
        context: Context,
    ) -> Decision | None:
        """Make a decision where `context` stands; in a tied block find the one that its other instances made.

        None where there is one option, and nothing to decide.

        Raises:
            Problem: another instance has other options.
        """
        if len(options) > OPTIONS_CAP:
            raise Problem("E0307", f"more than {OPTIONS_CAP:,} options", span)
        decision = self._tied(options, kind, span, name, context) if context.place.ties else None
        if len(options) == 1:
            return None
        decision = decision or self._new(options, kind, span, name, context)
        context.scope.declare(replace(decision, condition=context.when))
        return decision

    def _tied(
        self, options: Sequence[Literal], kind: Kind, span: Span, name: str, context: Context
    ) -> Decision:
        """What the first instance decided here; it is made if this is the first."""
        assert context.place.ties is not None
        made, key = context.place.ties.decisions, key_of(span)
        if key not in made:
            made[key] = self._new(options, kind, span, name, context)
            self._called[made[key].path, key] = _call(span, context)
        elif made[key].options != tuple(options):
            raise _differs(made[key], options, span, self._called[made[key].path, key])
        return made[key]

    def _new(
        self, options: Sequence[Literal], kind: Kind, span: Span, name: str, context: Context
    ) -> Decision:
        # What is no decision draws no name.
        path = self._unique(_path(name, context)) if len(options) > 1 else ""
        return Decision(path, tuple(options), kind, span)

    def tied_block(self, block: syntax.Block) -> Ties:
        """What all instances of a tied block share."""
        # One block may have several names, where a file is used under several.
        key = key_of(block.span)
        if key not in self.blocks:
            self.blocks[key] = Ties(self._unique(own_name(block)))
        return self.blocks[key]

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
