"""An experiment: one file, read and checked, with what it says of space, target, search and training."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from compiler.frontend import examine
from compiler.ir.graph import SpaceGraph
from compiler.passes.pipeline import run_passes
from dsl import syntax
from dsl.check import check_caps
from dsl.diagnostic import Diagnostic, DiagnosticError, has_errors
from dsl.known_targets import known_settings, known_targets
from dsl.names import HOST
from dsl.parser import parse
from dsl.resolve import resolve_settings
from dsl.settings import SearchSettings, Settings, TargetSettings, TrainSettings
from dsl.source import Source
from dsl.suggest import did_you_mean, listed


class NoSuchPart(Exception):
    """The file has no search, recipe or target of that name, or a setting names none; says which there are."""


class SeveralInputs(Exception):
    """A space with several inputs, of which no data set has the images."""


@dataclass(frozen=True)
class Experiment:
    """What one run does. `target` is the one that is profiled and built for."""

    source: Source
    space: SpaceGraph
    target: TargetSettings
    search: SearchSettings | None
    train: TrainSettings | None
    settings: Settings
    overrides: tuple[str, ...] = ()

    @cached_property
    def flat(self) -> SpaceGraph:
        """The space with its decisions in mixed nodes."""
        return run_passes(self.space)

    @property
    def folder(self) -> Path:
        """The folder of the file; paths in it are relative to that."""
        return Path(self.source.name).parent


def load_experiment(
    source: Source,
    *,
    search: str | None = None,
    space: str | None = None,
    target: str | None = None,
    overrides: Sequence[str] = (),
) -> Experiment:
    """The experiment of a source, with `overrides` (`epochs=2`, `train.budget=60 s`) put into its settings.

    Raises:
        DiagnosticError: the file or an override has errors.
        NoSuchPart: a name is not in the file, or one must be chosen.
        SeveralInputs: the space takes more than a data set has.
    """
    analysis = examine(source)
    file = analysis.sound()
    file = _declared(file, _asked_for(file, target))
    for text in overrides:
        file = override(file, text)
    settings, found = resolve_settings(file)
    found = [*check_caps(file), *found]
    if has_errors(found):
        raise DiagnosticError(found)
    chosen = _search(settings, search, space)
    graph = analysis.space(chosen.space if chosen else space)
    if len(graph.graph.inputs) > 1:
        raise SeveralInputs(
            f"the space `{graph.name}` has {len(graph.graph.inputs)} inputs, and data sets have one: it can be "
            "counted, sampled, shown, costed and exported, not searched or trained yet"
        )
    wanted = target_named(settings, target or _capped_target(chosen) or HOST)
    recipe = settings.recipe_of(graph.name)
    return Experiment(source, graph, wanted, chosen, recipe, settings, tuple(overrides))


def target_named(settings: Settings, name: str) -> TargetSettings:
    """The target of that name, declared by the file or known.

    Raises:
        NoSuchPart: there is none; the message offers a near one.
        TargetsFileProblem: the user's file of targets cannot be used.
    """
    found = settings.targets.get(name) or known_settings(name)
    if found is None:
        known = [f"`{each}`" for each in settings.targets]
        own = f"the file has {listed(known, 'and')}, and " if len(known) > 1 else ""
        there = f"{own}`onepath targets` lists the known ones"
        near = did_you_mean(name, [*settings.targets, *known_targets()])
        raise NoSuchPart(f"no target is named `{name}`; {near or there}")
    return found


def target_of(source: Source, name: str) -> TargetSettings:
    """The target of that name in a file, or a known one.

    Raises:
        DiagnosticError: the file has errors.
        NoSuchPart: it is neither.
    """
    settings, found = resolve_settings(examine(source).sound())
    if has_errors(found):
        raise DiagnosticError(found)
    return target_named(settings, name)


def host_settings(name: str | None = None, **given: object) -> TargetSettings:
    """The built-in target or a known one, without a file, with some settings as they would be written.

    A setting that is None is left out.

    Raises:
        DiagnosticError: a setting has no such value.
        NoSuchPart: it has another name.
    """
    file = _declared(syntax.File((), span=Source("--set", "").span(0, 0)), [name or HOST])
    for setting, value in given.items():
        if value is not None:
            file = override(file, f"target.{setting} = {value}")
    settings, found = resolve_settings(file)
    if has_errors(found):
        raise DiagnosticError(found)
    return target_named(settings, name or HOST)


def _declared(file: syntax.File, names: Sequence[str]) -> syntax.File:
    """The file with a section for each built-in or known target among the names, so that `--set` reaches it."""
    there = {target.name for target in file.select(syntax.Target)}
    span = Source("--set", "").span(0, 0)
    added = []
    for name in dict.fromkeys(names):
        if name not in there and (name == HOST or known_settings(name) is not None):
            like = syntax.Setting("like", syntax.String(name, span=span), span=span, name_span=span)
            added.append(syntax.Target(name, () if name == HOST else (like,), span=span, name_span=span))
    return replace(file, items=(*file.items, *added))


def _asked_for(file: syntax.File, target: str | None) -> list[str]:
    """The targets that a run of the file is about: the one named, those of caps, and this machine."""
    caps = [cap.target for search in file.select(syntax.Search) for cap in search.caps if cap.target]
    return [*([target] if target else []), *caps, HOST]


def _search(settings: Settings, name: str | None, space: str | None) -> SearchSettings | None:
    fitting = [each for each in settings.searches if space in (None, each.space)]
    names = [each.name for each in fitting]
    if name is not None:
        if name not in names:
            raise NoSuchPart(
                f"no search is named `{name}`; {did_you_mean(name, names) or f'there are {names}'}"
            )
        return next(each for each in fitting if each.name == name)
    if len(fitting) > 1:
        raise NoSuchPart(f"the file has several searches; choose one with `--search`: {listed(names)}")
    return fitting[0] if fitting else None


def _capped_target(search: SearchSettings | None) -> str | None:
    """The target of the search's first latency cap."""
    caps = search.caps if search else ()
    return next((cap.target for cap in caps if cap.metric == "latency" and cap.target), None)


_OVERRIDE = re.compile(r"\s*(?:(search|train|target)\s*\.\s*)?(.*)", re.DOTALL)


def override(file: syntax.File, text: str) -> syntax.File:
    """The file with one setting replaced: `epochs=2`, `train.epochs=2`, `latency <= 2 ms on host`.

    Without a section it goes to every search and recipe that has such a setting; `target.` means every
    target of the file.

    Raises:
        DiagnosticError: the text is no setting.
        NoSuchPart: nothing has such a setting.
    """
    match = _OVERRIDE.fullmatch(text)
    assert match is not None
    section, assignment = match[1], match[2]
    statement = _statement(assignment)
    if isinstance(statement, syntax.Cap) and section not in (None, "search"):
        raise NoSuchPart(f"--set {text}: only a search has caps; leave `{section}.` out")
    items = [_with(item, statement, section) for item in file.items]
    if all(new is old for new, old in zip(items, file.items, strict=True)):
        where = f"`{section}` section" if section else "search or recipe"
        raise NoSuchPart(f"--set {text}: the file has no {where} that takes it")
    return replace(file, items=tuple(items))


def _statement(assignment: str) -> syntax.Setting | syntax.Cap:
    parsed, found = parse(Source("--set", f"search it {{ {assignment} }}"))
    searches = parsed.select(syntax.Search) if parsed is not None and not has_errors(found) else ()
    statements: list[syntax.Setting | syntax.Cap] = []
    for found_search in searches:
        statements += [*found_search.settings, *found_search.caps]
    if len(statements) != 1:
        span = Source("--set", assignment).span(0, len(assignment))
        raise DiagnosticError(found or [Diagnostic("E0403", "not one setting", span, "write `epochs=2`")])
    return statements[0]


def _with(item: syntax.Item, statement: syntax.Setting | syntax.Cap, section: str | None) -> syntax.Item:
    kind = {syntax.Search: "search", syntax.Train: "train", syntax.Target: "target"}.get(type(item))
    if kind is None or (section is not None and section != kind) or (section is None and kind == "target"):
        return item
    if isinstance(statement, syntax.Cap):
        if not isinstance(item, syntax.Search):
            return item
        kept_caps = [cap for cap in item.caps if _limits(cap) != _limits(statement)]
        return replace(item, caps=(*kept_caps, statement))
    if section is None and not _takes(kind, statement.name):
        return item
    assert isinstance(item, syntax.Search | syntax.Train | syntax.Target)
    kept = [setting for setting in item.settings if setting.name != statement.name]
    return replace(item, settings=(*kept, statement))


def _limits(cap: syntax.Cap) -> tuple[str, str | None, str]:
    """What a cap is on: one on the same takes its place, and a ceiling leaves a floor."""
    return cap.metric, cap.target, cap.relation


def _takes(section: str, name: str) -> bool:
    from dsl.schema import SECTIONS

    return name in {key.name for key in SECTIONS[section][0]}
