"""Renaming: every place that has to change, or why it cannot be done."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Set

from dsl.expected import keywords
from dsl.names import HOST
from dsl.project import Project, path_of
from dsl.references import Definition
from dsl.source import Span

_WHAT = {"file": "the name of a used file", None: "a built-in or unknown name"}


class CannotRename(ValueError):
    """Why a name cannot be renamed, in words for the person who asked."""


def renamable(project: Project, path: str, offset: int) -> tuple[Span, Definition]:
    """The name at an offset and its definition.

    Raises:
        CannotRename: no name is there, or none that is made in a file that can be edited.
    """
    found = project.at(path, offset)
    if found is None:
        raise CannotRename("no name of a block, parameter, binding or constant stands here")
    occurrence, definition = found
    if definition is None or definition.kind == "file":
        what = _WHAT[definition.kind if definition is not None else None]
        raise CannotRename(f"`{occurrence.name}` is {what}, and cannot be renamed")
    return occurrence.span, definition


def rename(
    project: Project, path: str, offset: int, new: str, paths: Iterable[str], reserved: Set[str]
) -> list[Span]:
    """The spans to replace by `new`, in the file and in those of `paths` that use its definition.

    `reserved` are the names that the language itself has: operators and functions.

    Raises:
        CannotRename: see `renamable`; `new` is no name, is taken, or a file that names it has syntax errors.
    """
    _, definition = renamable(project, path, offset)
    _check_spelling(new, reserved, definition)
    files = _files_that_see(project, definition, paths)
    places = [each.span for each in project.references(definition, files)]
    for each in files:
        _check_file(project, each, definition, new)
    return places


def _check_spelling(new: str, reserved: Set[str], definition: Definition) -> None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", new, re.ASCII):
        raise CannotRename(f"`{new}` is no name: ASCII letters, digits and `_`, and no digit first")
    if new in keywords().values():
        raise CannotRename(f"`{new}` is a keyword and cannot be a name")
    if definition.namespace == "value" and new in reserved:
        raise CannotRename(f"`{new}` is an operator or a function of the language")
    if definition.namespace == "target" and new == HOST:
        raise CannotRename(f"`{new}` is a built-in target")


def _files_that_see(project: Project, definition: Definition, paths: Iterable[str]) -> list[str]:
    """The definition's file, then those that use it; what is local to a file is seen by itself alone."""
    home = path_of(definition.span)
    if definition.kind not in ("block", "constant", "target", "parameter"):
        return [home]
    known = {other for each in paths for other in project.reach(posixpath.normpath(each))}
    return [home, *(each for each in sorted(known - {home}) if home in project.reach(each))]


def _check_file(project: Project, path: str, definition: Definition, new: str) -> None:
    member = project.member(path)
    if member is None or not member.sound:
        raise CannotRename(f"{path} names it, too, and has syntax errors: put them right first")
    home = path == path_of(definition.span)
    if not home and definition.kind == "parameter":
        return
    taken = [each for each in member.names.definitions if _clashes(each, definition, new, home)]
    brought = project.brought(path).get((definition.namespace, new))
    if brought is not None and brought != definition:
        taken.append(brought)
    plain = home or project.brought(path).get((definition.namespace, definition.name)) == definition
    if taken and plain:
        raise CannotRename(f"`{new}` is taken: {taken[0].kind} at {taken[0].span}")


def _clashes(other: Definition, definition: Definition, new: str, home: bool) -> bool:
    """Whether another definition has the new name where the renamed one is known: names are never hidden."""
    if other.name != new or other.namespace != definition.namespace or other == definition:
        return False
    if not home:
        return True
    one, two = other.scope, definition.scope
    return one.start <= two.end and two.start <= one.end
