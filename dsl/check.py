"""Static checks of a whole file: every mistake that can be told without evaluating or expanding anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from dsl import syntax
from dsl.check_bodies import BodyChecker
from dsl.diagnostic import Diagnostic, Note, in_order
from dsl.known_targets import known_targets
from dsl.limits import MAXIMUM_PROBLEMS
from dsl.names import HOST, Globals, Local, Scope, globals_of
from dsl.resolve import resolve_settings
from dsl.signature import FUNCTIONS, Signature
from dsl.source import Source, Span
from dsl.suggest import did_you_mean, listed
from dsl.units import METRICS, UNITS, dimension


def check(
    file: syntax.File, operators: Mapping[str, Signature], spelling: Sequence[Diagnostic] = ()
) -> list[Diagnostic]:
    """What is wrong with a file and its settings, and warnings, in the order of the text.

    `operators` are the steps that exist, by name. `spelling` is what `parse` found: items around those
    places are not looked into, and names lost there are not called unknown. A file with `use` is linked
    first (`dsl.modules`); where it is not, unknown names are taken to be another file's.
    """
    found = _Findings()
    known = globals_of(file, operators, _lost_names(file, spelling))
    checker = BodyChecker(known, found.append)
    found += _twice(file)
    found += _hidden(file, operators)
    broken = [each.span for each in spelling]
    sound = [item for item in file.items if not any(_holds(item.span, place) for place in broken)]
    later = _constants(file)
    with suppress(_Enough):
        for item in sound:
            for problem in _Item(file, known, checker, later).problems(item):
                found.append(problem)
    found += resolve_settings(replace(file, items=tuple(sound)))[1]
    return in_order(found)[:MAXIMUM_PROBLEMS]


def check_caps(file: syntax.File) -> list[Diagnostic]:
    """What is wrong with the caps of its searches: of a file that was checked before caps were put into it."""
    known = globals_of(file, {}, frozenset())
    found: list[Diagnostic] = []
    item = _Item(file, known, BodyChecker(known, found.append), {})
    found += [
        problem for search in file.select(syntax.Search) for cap in search.caps for problem in item.cap(cap)
    ]
    return found


class _Enough(Exception):
    """More is wrong than anybody reads in one run."""


class _Findings(list[Diagnostic]):
    """What is wrong, up to a number: a hostile file would have thousands, each with a search for near names."""

    def append(self, problem: Diagnostic) -> None:
        super().append(problem)
        if len(self) >= MAXIMUM_PROBLEMS:
            raise _Enough


def _constants(file: syntax.File) -> dict[Source, dict[str, Span]]:
    """Where the constants of each source are defined."""
    found: dict[Source, dict[str, Span]] = {}
    for each in file.select(syntax.Constant):
        found.setdefault(each.span.source, {})[each.name] = each.name_span or each.span
    return found


def _holds(outer: Span, inner: Span) -> bool:
    return outer.source is inner.source and outer.start <= inner.start <= outer.end


def _lost_names(file: syntax.File, spelling: Sequence[Diagnostic]) -> frozenset[str]:
    """Names that look defined in the file's text where it has syntax errors, or stand beside one.

    Errors of a file that it uses lose no name here: its `use` stays in the tree (`dsl.modules`).
    """
    source = file.span.source
    here = [each for each in spelling if each.span.source is source]
    if not here:
        return frozenset()
    declared = re.findall(r"\b(?:block|space|target)\s+(\w+)", source.text)
    constants = re.findall(r"^\s*(\w+)\s*=", source.text, re.MULTILINE)
    nearby = [word for each in here for word in re.findall(r"\w+", source.line(each.span.line))]
    return frozenset([*declared, *constants, *nearby])


def _twice(file: syntax.File) -> Iterator[Diagnostic]:
    """Names defined twice; spaces, targets, searches and recipes each have names of their own."""
    first: dict[tuple[str, str], Span] = {}
    for item in file.items:
        kind, name = _identity(item)
        span = getattr(item, "name_span", None) or item.span
        if name is None:
            continue
        if (kind, name) in first:
            hint = "name one of them: `search space as name`" if kind == "search" else "rename one of them"
            notes = (Note("first here", first[kind, name]),)
            yield Diagnostic("E0102", f"the {kind} `{name}` is defined twice", span, hint, notes)
        first.setdefault((kind, name), span)


def _identity(item: syntax.Item) -> tuple[str, str | None]:
    """An item's name and what must not share it; blocks and constants are used alike, and so share one set."""
    match item:
        case syntax.Search():
            return "search", item.name or item.space
        case syntax.Train():
            return "training recipe of", item.space
        case syntax.Block() | syntax.Constant():
            return "name", item.name
        case syntax.Use():
            return "name", item.name
        case _:
            return type(item).__name__.lower(), item.name


def _hidden(file: syntax.File, operators: Mapping[str, Signature]) -> Iterator[Diagnostic]:
    """Blocks and constants named like an operator or a function, and targets named like a built-in one."""
    for item in file.items:
        span = getattr(item, "name_span", None) or item.span
        if isinstance(item, syntax.Block | syntax.Constant) and (
            item.name in operators or item.name in FUNCTIONS
        ):
            kind = "function" if item.name in FUNCTIONS else "operator"
            yield Diagnostic(
                "E0104", f"`{item.name}` hides the {kind} of that name", span, "choose another name"
            )
        if isinstance(item, syntax.Target) and item.name == HOST:
            yield Diagnostic(
                "E0104", "`host` hides the built-in target of that name", span, "choose another name"
            )


class _Item:
    """Checks one item of a file."""

    def __init__(
        self,
        file: syntax.File,
        known: Globals,
        checker: BodyChecker,
        later: Mapping[Source, dict[str, Span]],
    ) -> None:
        self.file = file
        self.known = known
        self.checker = checker
        self.later = later

    def problems(self, item: syntax.Item) -> Iterator[Diagnostic]:
        match item:
            case syntax.Constant():
                self._constant(item)
            case syntax.Block():
                yield from self._block(item)
            case syntax.Space():
                yield from self._space(item)
            case syntax.Search():
                yield from self._of_space(item)
                for cap in item.caps:
                    yield from self.cap(cap)
            case syntax.Train():
                yield from self._of_space(item)
            case _:
                pass

    def _constant(self, item: syntax.Constant) -> None:
        """A constant sees those above it; no value enters a file."""
        later = self.later[item.span.source]
        self.checker.value(item.value, Scope(has_in=False, later=later))
        later.pop(item.name, None)

    def _block(self, block: syntax.Block) -> Iterator[Diagnostic]:
        scope = Scope(has_in=True)
        for param in block.params:
            if param.default is not None:
                self.checker.value(param.default, scope)
            self.checker.declare(scope, param.name, "unknown", param.name_span or param.span)
        self.checker.body(block.body, Scope(True, scope))
        for local in scope.locals.values():
            if not local.read:
                yield Diagnostic(
                    "W0101", f"the parameter `{local.name}` is not read", local.span, "remove it"
                )

    def _space(self, space: syntax.Space) -> Iterator[Diagnostic]:
        outer = Scope(has_in=len(space.inputs) == 1)
        files = Scope(has_in=False)
        inputs_and_outputs: tuple[syntax.Input | syntax.Output, ...] = (*space.inputs, *space.outputs)
        for size in (size for each in inputs_and_outputs for size in each.dimensions):
            self.checker.value(size, files)
        for input_ in space.inputs:
            if input_.name is not None:
                self.checker.declare(outer, input_.name, "tensor", input_.name_span or input_.span)
        self.checker.missed_in = False
        strays = _stray_units(space)
        statements = tuple(each for each in space.body.statements if id(each) not in strays)
        self.checker.body(replace(space.body, statements=statements), Scope(outer.has_in, outer))
        yield from (_stray_unit(cap, word) for cap, word in strays.values())
        yield from _inputs_and_outputs(space, () if self.checker.missed_in else outer.locals.values())
        for cap in space.requires:
            self.checker.value(cap.limit, files)
            yield from self.cap(cap)

    def _of_space(self, item: syntax.Search | syntax.Train) -> Iterator[Diagnostic]:
        names = [space.name for space in self.file.select(syntax.Space)]
        if item.space not in names and not self.known.forgives(item.space):
            hint = did_you_mean(item.space, names) or _known("spaces", names)
            span = item.name_span or item.span
            yield Diagnostic("E0101", f"no space is named `{item.space}`", span, hint)

    def cap(self, cap: syntax.Cap) -> Iterator[Diagnostic]:
        """What is wrong with a cap: its metric, target or unit."""
        if cap.metric not in METRICS:
            hint = did_you_mean(cap.metric, METRICS) or _known("caps", METRICS)
            yield Diagnostic(
                "E0142", f"nothing measured is named `{cap.metric}`", cap.name_span or cap.span, hint
            )
            return
        yield from self._place(cap)
        wanted = METRICS[cap.metric]
        units = listed([f"`{unit}`" for unit in UNITS[wanted]])
        if isinstance(cap.limit, syntax.Quantity):
            if dimension(cap.limit) != wanted:
                message = f"`{cap.limit.unit}` is not a unit of `{cap.metric}`"
                yield Diagnostic("E0144", message, cap.limit.span, f"its units are {units}")
        elif cap.metric == "latency":
            yield Diagnostic("E0144", "a latency needs a unit", cap.limit.span, f"its units are {units}")

    def _place(self, cap: syntax.Cap) -> Iterator[Diagnostic]:
        """Latency is of a target; nothing else is."""
        if cap.metric == "latency" and cap.target is None:
            targets = [target.name for target in self.file.select(syntax.Target)]
            hint = f"write `on {targets[0] if targets else HOST}`"
            yield Diagnostic("E0143", "a latency is that of a target", cap.span, hint)
        elif cap.metric != "latency" and cap.target is not None:
            message = f"`{cap.metric}` is the same on every target"
            yield Diagnostic("E0143", message, cap.target_span or cap.span, f"remove `on {cap.target}`")
        elif cap.target is not None and not self._is_target(cap.target):
            names = {*self.known.targets, *known_targets()}
            hint = did_you_mean(cap.target, names) or _known("targets", self.known.targets)
            message = f"no target is named `{cap.target}`"
            yield Diagnostic("E0101", message, cap.target_span or cap.span, hint)

    def _is_target(self, name: str) -> bool:
        if name in self.known.targets or self.known.forgives(name.partition(".")[0]):
            return True
        return name in known_targets()


def _stray_units(space: syntax.Space) -> dict[int, tuple[syntax.Cap, Span]]:
    """Pipes of one name that stand right behind a cap's number: units that are none; by the pipe's identity."""
    caps = {
        cap.limit.span.end: cap
        for cap in space.requires
        if isinstance(cap.limit, syntax.Number) and cap.metric in METRICS
    }
    found = {}
    for each in space.body.statements:
        if isinstance(each, syntax.Pipe) and len(each.steps) == 1 and isinstance(each.steps[0], syntax.Ref):
            before = each.span.source.text[: each.span.start].rstrip(" \t")
            if len(before) in caps:
                found[id(each)] = (caps[len(before)], each.span)
    return found


def _stray_unit(cap: syntax.Cap, word: Span) -> Diagnostic:
    units = UNITS[METRICS[cap.metric]]
    if word.text in units:
        return Diagnostic(
            "E0144", f"`{word.text}` is too far from its number", word, "leave one space between them"
        )
    hint = did_you_mean(word.text, units) or f"its units are {listed([f'`{unit}`' for unit in units])}"
    return Diagnostic("E0144", f"`{word.text}` is not a unit of `{cap.metric}`", word, hint)


def _inputs_and_outputs(space: syntax.Space, inputs: Iterable[Local]) -> Iterator[Diagnostic]:
    place = space.name_span or space.span
    if not space.inputs:
        yield Diagnostic(
            "E0140", f"the space `{space.name}` has no input", place, "write `input [3, 32, 32]`"
        )
    if not space.outputs:
        yield Diagnostic("E0140", f"the space `{space.name}` has no output", place, "write `output [10]`")
    for surplus in space.outputs[1:]:
        notes = (Note("first here", space.outputs[0].span),)
        yield Diagnostic("E0141", "a space has one output", surplus.span, notes=notes)
    if len(space.inputs) > 1:
        for each in space.inputs:
            if each.name is None:
                hint = "write `input image [3, 32, 32]`"
                yield Diagnostic("E0141", "of several inputs each has a name", each.span, hint)
        for local in inputs:
            if not local.read:
                yield Diagnostic("E0112", f"nobody reads `{local.name}`", local.span, "use it, or remove it")


def _known(what: str, names: Iterable[str]) -> str:
    known = sorted(set(names))
    return (
        f"there are the {what} {listed(known, 'and')}"
        if len(known) > 1
        else f"the {what} here: {listed(known or ['none'])}"
    )
