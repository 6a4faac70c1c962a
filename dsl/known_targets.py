"""Targets that are known by name: those of `targets.toml` beside this module, and those of the user's own file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

import platformdirs

from dsl import syntax
from dsl.diagnostic import Diagnostic, DiagnosticError
from dsl.names import HOST
from dsl.reading import read
from dsl.resolve_values import values_of
from dsl.schema import TARGET
from dsl.settings import TargetSettings
from dsl.source import Source, Span

TABLE = Path(__file__).with_name("targets.toml")


class TargetsFileProblem(ValueError):
    """A file of targets that cannot be used: where, and what is wrong."""


@dataclass(frozen=True, slots=True)
class KnownTarget:
    """A target of a table: its settings, what it is in a few words, and the file."""

    settings: TargetSettings
    title: str
    file: Path


def user_table() -> Path:
    """Where the user's own targets stand; the file need not be there."""
    return Path(platformdirs.user_config_dir("onepath", appauthor=False)) / "targets.toml"


def known_targets() -> Mapping[str, KnownTarget]:
    """All known targets by name; the user's own replace those of the table that comes with Onepath.

    Raises:
        TargetsFileProblem: the user's file is no TOML, or a target in it has a setting that no target has.
    """
    own = user_table()
    return {**_table(TABLE), **(_table(own) if own.is_file() else {})}


def known_settings(name: str) -> TargetSettings | None:
    """The settings of a known target, None where none is of that name.

    Raises:
        TargetsFileProblem: the user's file cannot be used.
    """
    found = known_targets().get(name)
    return None if found is None else found.settings


@cache
def _table(path: Path) -> Mapping[str, KnownTarget]:
    import tomllib  # needed only where a file names no target of its own, or lists are asked for

    try:
        source = read(path)
        tables = tomllib.loads(source.text)
    except (tomllib.TOMLDecodeError, OSError) as problem:
        raise TargetsFileProblem(f"{path} cannot be read as TOML: {problem}") from None
    except DiagnosticError as problem:
        raise TargetsFileProblem(f"{path}: {problem.diagnostics[0].message}") from None
    return {name: _target(source, path, name, entry) for name, entry in tables.items()}


def _target(source: Source, path: Path, name: str, entry: Any) -> KnownTarget:
    if not isinstance(entry, dict):
        raise TargetsFileProblem(f"{path}: `{name}` stands in no table; write `[{name}]` above its settings")
    if not name.isidentifier() or name == HOST:
        raise TargetsFileProblem(
            f"{path}: a target cannot be named `{name}`; use letters, digits and `_`, and not `{HOST}`"
        )
    title = entry.get("title", "")
    settings = list(_settings(source, {key: value for key, value in entry.items() if key != "title"}))
    found: list[Diagnostic] = []
    values = values_of(TARGET, settings, "a target", found.append)
    if "like" in values:
        raise TargetsFileProblem(f"{path}, target `{name}`: `like` is for targets of a .space file")
    if not isinstance(title, str):
        raise TargetsFileProblem(f"{path}, target `{name}`: `title` must be a text")
    if found:
        said = "; ".join(filter(None, (found[0].message, found[0].hint)))
        raise TargetsFileProblem(f"{path}, target `{name}`: {said}")
    return KnownTarget(TargetSettings(name, **values), title, path)


def _settings(source: Source, entry: Mapping[str, Any]) -> Iterator[syntax.Setting]:
    """TOML's values as the language writes them."""
    span = source.span(0, 0)
    for key, value in entry.items():
        yield syntax.Setting(key, _value(value, span), span=span, name_span=span)


def _value(value: Any, span: Span) -> syntax.Expr:
    match value:
        case bool():
            return syntax.Bool(value, span=span)
        case int():
            return syntax.Number(value, span=span)
        case float() if isfinite(value):
            return syntax.Number(Fraction(repr(value)), span=span)
        case str():
            return syntax.String(value, span=span)
        case _:  # an array, a table or a date: no setting has such a value
            return syntax.Ref(str(value), span=span)
