"""Settings as written to settings as values, each checked against the schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dsl import syntax
from dsl.diagnostic import Diagnostic, in_order
from dsl.known_targets import known_settings, known_targets
from dsl.names import HOST
from dsl.resolve_values import Report, values_of
from dsl.schema import SEARCH, TARGET, TRAIN
from dsl.settings import (
    CapSetting,
    SearchSettings,
    Settings,
    SupernetEvaluator,
    TargetSettings,
    TrainSettings,
)
from dsl.suggest import counted, did_you_mean
from dsl.units import METRICS, dimension, in_units_of

_BASE_UNITS = {"time": "ms", "bytes": "", "count": ""}


def resolve_settings(file: syntax.File) -> tuple[Settings, list[Diagnostic]]:
    """The settings of every target, search and recipe of a file, and what is wrong with them.

    A setting that is wrong keeps its default, so that the value is whole; use it only without errors.
    """
    found: list[Diagnostic] = []
    targets = {HOST: TargetSettings(HOST)}
    for target in file.select(syntax.Target):
        targets[target.name] = _target(target, found.append)
    searches = tuple(_search(each, found.append) for each in file.select(syntax.Search))
    recipes = tuple(_recipe(each, searches, found.append) for each in file.select(syntax.Train))
    return Settings(targets, searches, recipes), in_order(found)


def _target(node: syntax.Target, report: Report) -> TargetSettings:
    """A target; one that is `like` a known one takes what it does not say from that."""
    values = values_of(TARGET, node.settings, "a target", report)
    like = values.get("like")
    base = TargetSettings(node.name) if like in (None, HOST) else known_settings(like)
    if base is None:
        assert like is not None
        place = next(each.value.span for each in node.settings if each.name == "like")
        hint = did_you_mean(like, known_targets()) or "`onepath targets` lists the known ones"
        report(Diagnostic("E0407", f"no known target is named `{like}`", place, hint))
        return TargetSettings(node.name)
    return replace(base, name=node.name, **values)


def _search(node: syntax.Search, report: Report) -> SearchSettings:
    values = values_of(SEARCH, node.settings, "a search", report)
    judged = isinstance(values.get("evaluator", SupernetEvaluator()), SupernetEvaluator)
    if judged and "data" not in {each.name for each in node.settings}:
        message = f"the search of `{node.space}` has no `data`"
        hint = "write `data = cifar10`, or another data set"
        report(Diagnostic("E0406", message, node.name_span or node.span, hint))
    caps = tuple(cap for cap in (_cap(each, report) for each in node.caps) if cap is not None)
    values = {"data": None, **values}
    found = SearchSettings(node.space, node.name or node.space, caps=caps, **values)
    _check_warmup(node.settings, found.lr_warmup, found.epochs + found.warmup, report)
    return found


def _recipe(node: syntax.Train, searches: Sequence[SearchSettings], report: Report) -> TrainSettings:
    """A recipe inherits `data` and `seed` from the first search of its space."""
    search = next((each for each in searches if each.space == node.space), None)
    values = values_of(TRAIN, node.settings, "a training recipe", report)
    recipe = TrainSettings(node.space, **{"data": None, **values})
    _check_warmup(node.settings, recipe.lr_warmup, recipe.epochs, report)
    _check_data(node, recipe, searches, report)
    if search is None:
        return recipe
    return replace(recipe, data=recipe.data or search.data, seed=values.get("seed", search.seed))


def _check_data(
    node: syntax.Train, recipe: TrainSettings, searches: Sequence[SearchSettings], report: Report
) -> None:
    """Report data of a recipe that differ from those of a search of its space."""
    for search in searches:
        if search.space == node.space and search.data and recipe.data and search.data != recipe.data:
            place = next(each.span for each in node.settings if each.name == "data")
            message = f"the recipe of `{node.space}` has other data than its search"
            hint = "remove this `data`: a network is trained on what it was searched on"
            report(Diagnostic("E0409", message, place, hint))
            return


def _check_warmup(
    settings: Sequence[syntax.Setting], warmup: float | None, epochs: int, report: Report
) -> None:
    """Report a rise of the learning rate that outlasts all epochs."""
    if warmup is not None and warmup > epochs:
        place = next(each.value.span for each in settings if each.name == "lr_warmup")
        message = f"`lr_warmup` is longer than all {counted(epochs, 'epoch')}"
        report(Diagnostic("E0405", message, place, "let the learning rate rise for some of them"))


def _cap(node: syntax.Cap, report: Report) -> CapSetting | None:
    """A cap in its metric's unit; None where `check` reports the metric or the unit."""
    wanted = METRICS.get(node.metric)
    if wanted is None:
        return None
    if isinstance(node.limit, syntax.Number):
        limit = node.limit.value
    elif isinstance(node.limit, syntax.Quantity):
        if dimension(node.limit) != wanted:
            return None
        limit = in_units_of(node.limit, _BASE_UNITS[wanted])
    else:
        hint = "write `8 ms` or `600 M`"
        report(Diagnostic("E0403", "the limit of a search is a number with a unit", node.limit.span, hint))
        return None
    return CapSetting(node.metric, node.relation, float(limit), node.target, node.span)  # type: ignore[arg-type]
