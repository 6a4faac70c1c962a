"""Names across files: what a name of a used file refers to, and everywhere that a definition is named.

A project is one state of the files: each is read and parsed once, when it is first asked for. Paths are those
of `dsl.modules`: `/` between folders, normal, a used file's relative to the file that names it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dsl import syntax
from dsl.diagnostic import DiagnosticError, has_errors
from dsl.modules import Read
from dsl.parser import parse
from dsl.references import Definition, Foreign, Names, Namespace, Occurrence, names_of
from dsl.source import Span

Brought: TypeAlias = Mapping[tuple[Namespace, str], Definition]
_CROSSING = ("block", "constant", "target")


@dataclass(frozen=True)
class Member:
    """One file of a project; `sound` says that its text has no syntax error."""

    names: Names
    sound: bool


def path_of(span: Span) -> str:
    """The path of the file that a span is in."""
    return posixpath.normpath(span.source.name)


class Project:
    """Files by path, as `read` gives them."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._members: dict[str, Member | None] = {}
        self._brought: dict[str, Brought] = {}

    def member(self, path: str) -> Member | None:
        """A file with its names, or None where it cannot be read or is refused."""
        if path not in self._members:
            self._members[path] = self._parsed(path)
        return self._members[path]

    def _parsed(self, path: str) -> Member | None:
        try:
            file, found = parse(self._read(path))
        except (DiagnosticError, OSError, ValueError):
            return None
        return None if file is None else Member(names_of(file), not has_errors(found))

    def uses(self, path: str) -> Iterator[tuple[syntax.Use, str]]:
        """Each `use` of a file with the path of the file it names."""
        member = self.member(path)
        for use in member.names.file.select(syntax.Use) if member is not None else ():
            yield use, posixpath.normpath(posixpath.join(posixpath.dirname(path), use.path.value))

    def reach(self, path: str) -> set[str]:
        """A file and all that it uses, and they."""
        found, waiting = {path}, [path]
        while waiting:
            new = {used for _, used in self.uses(waiting.pop())} - found
            found |= new
            waiting += new
        return found

    def brought(self, path: str) -> Brought:
        """What the files that a file uses bring into it, by the names it has there."""
        if path not in self._brought:
            # A file that uses itself in a circle, which `dsl.modules` reports, brings itself nothing.
            self._brought[path] = {}
            self._brought[path] = dict(self._bring(path))
        return self._brought[path]

    def _bring(self, path: str) -> Iterator[tuple[tuple[Namespace, str], Definition]]:
        for use, used in self.uses(path):
            prefix = f"{use.name}." if use.name is not None else ""
            member = self.member(used)
            own = member.names.definitions if member is not None else ()
            for (namespace, name), definition in self.brought(used).items():
                yield (namespace, prefix + name), definition
            for definition in own:
                if definition.kind in _CROSSING:
                    yield (definition.namespace, prefix + definition.name), definition

    def meaning(self, occurrence: Occurrence) -> Definition | None:
        """The definition that a name refers to, in whatever file it is."""
        foreign = occurrence.meaning
        if not isinstance(foreign, Foreign):
            return foreign
        definition = self.brought(path_of(occurrence.span)).get((foreign.namespace, foreign.name))
        if definition is None or foreign.parameter is None:
            return definition
        member = self.member(path_of(definition.span))
        return None if member is None else member.names.parameter(definition, foreign.parameter)

    def at(self, path: str, offset: int) -> tuple[Occurrence, Definition | None] | None:
        """The name at an offset of a file, and what it refers to."""
        member = self.member(path)
        found = member.names.at(offset) if member is not None else None
        return None if found is None else (found, self.meaning(found))

    def references(self, definition: Definition, paths: Iterable[str]) -> list[Occurrence]:
        """Every place in these files that names a definition, its own among them, in order."""
        found = []
        for path in paths:
            member = self.member(path)
            for each in member.names.occurrences if member is not None else ():
                same_name = each.name == definition.name
                if same_name and self.meaning(each) == definition:
                    found.append(each)
        return found
