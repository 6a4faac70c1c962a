"""Every network of a small space by brute force: an interpreter of the syntax tree that knows nothing of graphs.

It runs a space as a program. Whenever a `choose` is evaluated, the next entry of a tape says what is chosen; all
tapes are tried, depth first. A decision is known by its *spot*, the chain of places in the text that were entered to
reach it; in a tied block the chain begins at that block.

Only what the compiler settles without running is out of reach: a decision on the right of `and` and `or`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import combinations
from typing import Any, TypeAlias

from compiler.ir.ops import OPERATORS
from compiler.ir.types import TensorType
from dsl import syntax
from dsl.labels import labels
from dsl.source import Span
from tests.compiler.terms import Term, Terms

Key: TypeAlias = tuple[str, int, int]
"""Where something was entered: the source, the start there, the iteration (0 outside of a repeat)."""
Meaning: TypeAlias = Any
"""A Term, a number, a truth, a name of a block, an operator or an option, or a set of such."""


class TooMany(Exception):
    """The space has more networks than were asked for."""


@dataclass(frozen=True)
class Spot:
    """Where a run stands: the names around, their keys, and the keys from the space on, whatever is tied."""

    names: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    route: tuple[Key, ...] = ()

    def below(self, name: str, span: Span, iteration: int = 0) -> Spot:
        """The spot of what is entered here."""
        key = (span.source.name, span.start, iteration)
        return Spot((*self.names, name), (*self.keys, key), (*self.route, key))

    def tied(self, block: str, span: Span) -> Spot:
        """The spot of a call of a tied block: one for all its calls."""
        return Spot((block,), ((block, 0, 0),), (*self.route, (span.source.name, span.start, 0)))


@dataclass(frozen=True)
class Made:
    """A decision: its spot, and where its `choose` is written."""

    names: tuple[str, ...]
    keys: tuple[Key, ...]


@dataclass
class Run:
    """One network: what was chosen, and the term that came out."""

    choices: dict[Made, Meaning]
    output: Term


@dataclass(frozen=True)
class Around:
    """What an expression sees. `whole`: the call that comes next is the spot itself, a candidate that is one call."""

    names: Mapping[str, Meaning]
    spot: Spot
    here: Term | None
    piped: Term | None = None
    label: str | None = None
    bound: tuple[str, Spot] | None = None
    whole: bool = False

    def but(self, **changes: Any) -> Around:
        """This with some fields changed; `dataclasses.replace` takes a third of all time here."""
        changed = object.__new__(Around)
        changed.__dict__.update(self.__dict__, **changes)
        return changed

    @property
    def home(self) -> Spot:
        return self.bound[1] if self.bound and self.bound[0] == self.label else self.spot

    @property
    def aside(self) -> Around:
        return self if self.piped is None else self.but(piped=None)

    def within(self, spot: Spot, whole: bool = False) -> Around:
        return self.but(spot=spot, label=None, bound=None, whole=whole)

    @property
    def entering(self) -> Term:
        found = self.piped or self.here
        assert found is not None, "no value enters"
        return found


@dataclass
class BruteForce:
    """All runs of the space `name` of a file; `first` holds the least route by which each chain was entered."""

    file: syntax.File
    name: str
    terms: Terms = field(default_factory=Terms)
    first: dict[tuple[Key, ...], tuple[Key, ...]] = field(default_factory=dict)
    origins: dict[Made, Span] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.blocks = {block.name: block for block in self.file.select(syntax.Block)}
        self.space = next(each for each in self.file.select(syntax.Space) if each.name == self.name)
        self._tape: list[tuple[int, int]] = []
        self._at = 0
        self._made: dict[Made, Meaning] = {}
        self._constants: dict[str, Meaning] = {}
        outside = Around({}, Spot(), None)
        for constant in self.file.select(syntax.Constant):
            self._constants[constant.name] = self.value(constant.value, outside)

    def runs(self, limit: int) -> Iterator[Run]:
        """Every run.

        Raises:
            TooMany: there are more than `limit`.
        """
        count, more = 0, True
        while more:
            count += 1
            if count > limit:
                raise TooMany
            self._at, self._made = 0, {}
            output = self._run()
            yield Run(dict(self._made), output)
            while self._tape and self._tape[-1][0] + 1 == self._tape[-1][1]:
                self._tape.pop()
            more = bool(self._tape)
            if more:
                index, number = self._tape[-1]
                self._tape[-1] = index + 1, number

    def _run(self) -> Term:
        inputs: dict[str, Term] = {}
        outside = Around({}, Spot(), None)
        for entry in self.space.inputs:
            sizes = tuple(self.value(size, outside) for size in entry.dimensions)
            name = entry.name or "input"
            inputs[name] = self.terms.entering(name, TensorType(sizes))
        here = next(iter(inputs.values())) if len(inputs) == 1 else None
        names = {entry.name: inputs[entry.name] for entry in self.space.inputs if entry.name}
        return self.body(self.space.body, Around(names, Spot(), here))

    def decide(self, options: Sequence[Meaning], span: Span, name: str, around: Around) -> Meaning:
        """What the tape says, or what an instance of the same tied block was told before."""
        if len(options) == 1:
            return options[0]
        spot = around.spot.below(name, span)
        for length in range(1, len(spot.keys) + 1):
            route = spot.route[: len(spot.route) - len(spot.keys) + length]
            self.first[spot.keys[:length]] = min(route, self.first.get(spot.keys[:length], route))
        made = Made(spot.names, spot.keys)
        self.origins[made] = span
        if made not in self._made:
            if self._at == len(self._tape):
                self._tape.append((0, len(options)))
            self._made[made] = options[self._tape[self._at][0]]
            self._at += 1
        return self._made[made]

    # Wiring

    def body(self, body: syntax.Body, around: Around) -> Term:
        around = around.but(here=around.piped or around.here, piped=None, label=None, bound=None)
        names = dict(around.names)
        for binding in body.bindings:
            bound = (binding.name, around.spot.below(binding.name, binding.span))
            names[binding.name] = self.value(
                binding.value, around.but(names=names, label=binding.name, bound=bound)
            )
        assert body.result is not None
        return self.value(body.result, around.but(names=names))

    def pipe(self, pipe: syntax.Pipe, around: Around) -> Term:
        current = self._head(pipe.steps[0], around)
        for step in pipe.steps[1:]:
            current = self.step(step, around.but(piped=current))
        return current

    def _head(self, step: syntax.Expr, around: Around) -> Term:
        if isinstance(step, syntax.In):
            return around.entering
        if isinstance(step, syntax.Ref) and isinstance(around.names.get(step.name), Term):
            return around.names[step.name]
        return self.step(step, around)

    def step(self, step: syntax.Expr, around: Around) -> Term:
        named = step.name if isinstance(step, syntax.Named) else None
        inner = step.value if isinstance(step, syntax.Named) else step
        if isinstance(inner, syntax.ChooseValue):
            return self.apply(self.value(step, around), (), step.span, around)
        if isinstance(inner, syntax.Ref):
            return self.apply(self.value(inner, around), (), step.span, around, named)
        return self.value(step, around)

    def apply(
        self,
        callee: Meaning,
        args: Sequence[syntax.Arg],
        span: Span,
        around: Around,
        instance: str | None = None,
    ) -> Term:
        if callee in self.blocks:
            return self._block(self.blocks[callee], args, span, around, instance)
        known = [*OPERATORS[callee].tensors, *[each.name for each in OPERATORS[callee].attributes]]
        given = self._arguments(known, args, around)
        tensors = [given.pop(name) for name in OPERATORS[callee].tensors]
        return self.terms.apply(callee, [around.entering, *tensors], given)

    def _arguments(
        self, known: Sequence[str], args: Sequence[syntax.Arg], around: Around
    ) -> dict[str, Meaning]:
        given = {}
        for index, arg in enumerate(args):
            name = arg.name or known[index]
            given[name] = self.value(arg.value, around.aside.but(label=name, bound=None, whole=False))
        return given

    def _block(
        self,
        block: syntax.Block,
        args: Sequence[syntax.Arg],
        span: Span,
        around: Around,
        instance: str | None,
    ) -> Term:
        given = self._arguments([each.name for each in block.params], args, around)
        if block.tied:
            spot = around.home.tied(block.name, span)
        else:
            spot = around.spot if around.whole else around.home.below(instance or block.name, span)
        entering = around.piped or around.here
        callee = Around({}, spot, entering)
        names: dict[str, Meaning] = {}
        for each in block.params:
            if each.name not in given:
                assert each.default is not None
                given[each.name] = self.value(each.default, callee.but(names=names, label=each.name))
            names = {**names, each.name: given[each.name]}
        return self.body(block.body, callee.but(names=names))

    def merge_call(self, node: syntax.MergeCall, around: Around) -> Term:
        return self.terms.apply(node.kind, [self.value(arg.value, around.aside) for arg in node.args], {})

    def merge_branches(self, node: syntax.MergeBranches, around: Around) -> Term:
        results = []
        for branch in self._standing(node.branches, around):
            spot = around.home.below(branch.label, branch.span) if branch.label else around.home
            results.append(self.body(branch.body, around.within(spot)))
        return self.terms.apply(node.kind, results, {})

    def choose_path(self, node: syntax.ChoosePath, around: Around) -> Term:
        branches = self._standing(node.branches, around)
        names = labels(branches)
        chosen = self.decide(names, node.span, node.name or around.label or "path", around)
        return self._candidate(branches[names.index(chosen)], chosen, around)

    def merge_subset(self, node: syntax.MergeSubset, around: Around) -> Term:
        branches = self._standing(node.branches, around)
        names = labels(branches, subset=True)
        least, most = self._picks(node.count, around)
        options = [each for number in range(least, most + 1) for each in combinations(names, number)]
        chosen = self.decide(options, node.span, node.name or around.label or "path", around)
        picked = [
            self._candidate(branch, label, around)
            for branch, label in zip(branches, names, strict=True)
            if label in chosen
        ]
        return self.terms.apply(node.kind, picked, {})

    def _candidate(self, branch: syntax.Branch, label: str, around: Around) -> Term:
        assert branch.body.result is not None
        whole = branch.label is None and len(branch.body.result.steps) == 1
        spot = around.home.below(label.replace("#", "_"), branch.span)
        return self.body(branch.body, around.within(spot, whole))

    def _standing(self, branches: Sequence[syntax.Branch], around: Around) -> list[syntax.Branch]:
        return [each for each in branches if each.when is None or self.value(each.when, around.aside)]

    def _picks(self, count: syntax.Expr, around: Around) -> tuple[int, int]:
        ends = (count.start, count.stop) if isinstance(count, syntax.RangeChoice) else (count, count)
        least, most = (self.value(end, around.aside) for end in ends)
        return least, most

    def residual(self, node: syntax.Residual, around: Around) -> Term:
        holds = node.condition is None or self.value(node.condition, around.aside)
        inner = self.body(node.body, around.within(around.home))
        return self.terms.apply("add", [around.entering, inner], {}) if holds else inner

    def condition(self, node: syntax.If, around: Around) -> Term:
        arm = node.then if self.value(node.condition, around.aside) else node.otherwise
        inner = around.within(around.home)
        if arm is None:
            return inner.entering
        return self.condition(arm, inner) if isinstance(arm, syntax.If) else self.body(arm, inner)

    def repeat(self, node: syntax.Repeat, around: Around) -> Term:
        count = self.value(
            node.count, around.aside.but(label=around.label or "depth", bound=around.bound, whole=False)
        )
        current, base = around.entering, node.index or "repeat"
        for iteration in range(1, count + 1):
            names = {**around.names, node.index: iteration} if node.index else around.names
            spot = around.home.below(f"{base}{iteration}", node.span, iteration)
            if node.tied:
                shared = around.home.below(base, node.span)
                spot = replace(shared, route=spot.route)
            current = self.body(node.body, around.within(spot).but(piped=current, names=names))
        return current

    # Values

    def value(self, node: syntax.Expr, around: Around) -> Meaning:
        """What an expression means in this run."""
        return getattr(self, _METHODS[type(node)])(node, around)

    def literal(self, node: syntax.Number | syntax.Bool, around: Around) -> Meaning:
        return node.value

    def reference(self, node: syntax.Ref, around: Around) -> Meaning:
        for names in (around.names, self._constants):
            if node.name in names:
                return names[node.name]
        return node.name

    def here(self, node: syntax.In, around: Around) -> Meaning:
        return around.here

    def attribute(self, node: syntax.Attr, around: Around) -> Meaning:
        sizes = self.value(node.base, around.aside).type.dimensions
        known = {1: ("channels",), 2: ("tokens", "channels"), 3: ("channels", "height", "width")}[len(sizes)]
        return sizes[known.index(node.name)]

    def unary(self, node: syntax.Unary, around: Around) -> Meaning:
        operand = self.value(node.operand, around)
        return -operand if node.operator == "-" else not operand

    def binary(self, node: syntax.Binary | syntax.Compare, around: Around) -> Meaning:
        left, right = self.value(node.left, around), self.value(node.right, around)
        return _normal(_BINARY[node.operator](left, right))

    def logic(self, node: syntax.Logic, around: Around) -> Meaning:
        left = self.value(node.left, around)
        return left if left is (node.operator == "or") else self.value(node.right, around)

    def pick(self, node: syntax.Pick, around: Around) -> Meaning:
        return self.value(node.then if self.value(node.condition, around.aside) else node.otherwise, around)

    def choose_value(self, node: syntax.ChooseValue, around: Around) -> Meaning:
        return self.decide(self._options(node.choices, around), node.span, around.label or "choice", around)

    def choose_values(self, node: syntax.ChooseValues, around: Around) -> Meaning:
        members = self._options(node.choices, around)
        least, most = self._picks(node.count, around)
        options = [each for number in range(least, most + 1) for each in combinations(members, number)]
        return self.decide(options, node.span, around.label or "choice", around)

    def _options(self, choices: Sequence[syntax.Expr | syntax.RangeChoice], around: Around) -> list[Meaning]:
        found = []
        for choice in choices:
            if isinstance(choice, syntax.RangeChoice):
                start, stop = (self.value(end, around) for end in (choice.start, choice.stop))
                step = self.value(choice.step, around) if choice.step else 1
                found += [_normal(start + index * step) for index in range((stop - start) // step + 1)]
            else:
                found.append(self.value(choice, around))
        return found

    def named(self, node: syntax.Named, around: Around) -> Meaning:
        if isinstance(node.value, syntax.Call):
            return self.call(node.value, around, node.name)
        return self.value(node.value, around.but(label=node.name, bound=None))

    def call(self, node: syntax.Call, around: Around, instance: str | None = None) -> Meaning:
        callee = self.value(node.callee, around)
        if callee in _FUNCTIONS and callee not in self.blocks:
            return _normal(_FUNCTIONS[callee](*[self.value(arg.value, around.aside) for arg in node.args]))
        return self.apply(callee, node.args, node.span, around, instance)


def _normal(value: Meaning) -> Meaning:
    """A fraction that is an integer as one."""
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value


def _divisible(value: Fraction, divisor: int) -> int:
    nearest = max(divisor, int(value + Fraction(divisor, 2)) // divisor * divisor)
    return nearest if nearest >= Fraction(9, 10) * value else nearest + divisor


_FUNCTIONS: Mapping[str, Callable[..., Meaning]] = {"min": min, "max": max, "divisible": _divisible}
_BINARY: Mapping[str, Callable[[Meaning, Meaning], Meaning]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda left, right: Fraction(left) / right,
    "//": operator.floordiv,
    "%": operator.mod,
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "contains": operator.contains,
}
_METHODS: Mapping[type, str] = {
    syntax.Number: "literal",
    syntax.Bool: "literal",
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
