"""The texts that an editor has open, before those on the disk, and all that is known of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from compiler.frontend import Analysis, examine
from dsl import syntax
from dsl.project import Member, Project
from dsl.reading import read
from dsl.references import Foreign
from dsl.source import Source

SUFFIX = ".space"
FOLDERS_CAP, FILES_CAP = 2_000, 500
"""The most folders of a workspace that are searched for files, and the most files that are looked into."""


def path_of(uri: str) -> str:
    """The path of a `file:` URI with `/` between folders; any other URI stands for itself."""
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return uri
    path = unquote(parts.path)
    # `file:///C:/a` names C:/a
    return path[1:] if len(path) > 2 and path[2] == ":" else os.path.normpath(path).replace(os.sep, "/")


@dataclass(frozen=True, slots=True)
class Open:
    """A text in the editor's hands."""

    uri: str
    version: int
    source: Source


@dataclass
class Documents:
    """What a server knows. Each change of a text makes all but the texts be found out anew, when asked for."""

    roots: list[str] = field(default_factory=list)
    opened: dict[str, Open] = field(default_factory=dict)
    _sources: dict[str, Source] = field(default_factory=dict)
    _project: Project | None = None
    _analyses: dict[str, Analysis] = field(default_factory=dict)
    _read_for: dict[str, set[str]] = field(default_factory=dict)
    _sound: dict[str, Member] = field(default_factory=dict)

    def put(self, uri: str, version: int, text: str) -> str:
        """Take an open text, or its new state; returns its path."""
        path = path_of(uri)
        self.opened[path] = Open(uri, version, Source(path, text))
        self.forget()
        return path

    def close(self, uri: str) -> str:
        """Let a text go: from here on its file counts."""
        path = path_of(uri)
        self.opened.pop(path, None)
        self.forget()
        return path

    def forget(self) -> None:
        """Forget what may have changed on the disk, and all that was found out."""
        self._project = None
        self._analyses.clear()
        self._sources.clear()

    def uri(self, path: str) -> str:
        """The URI of a path: as the editor wrote it, where it has the file open."""
        if path in self.opened:
            return self.opened[path].uri
        return Path(path).as_uri() if os.path.isabs(path) else path

    def read(self, path: str) -> Source:
        """The source at a path: the open text, else the file's.

        Raises:
            OSError: there is no such file, or it is none to read: a device, say.
            DiagnosticError: see `dsl.reading.read`.
        """
        path = os.path.normpath(path).replace(os.sep, "/") if os.path.isabs(path) else path
        if path in self.opened:
            return self.opened[path].source
        if path not in self._sources:
            if os.path.exists(path) and not os.path.isfile(path):
                raise OSError("it is not a file")
            self._sources[path] = read(Path(path))
        return self._sources[path]

    @property
    def project(self) -> Project:
        """The names of all files, as they are now."""
        if self._project is None:
            self._project = Project(self.read)
        return self._project

    def analysis(self, path: str) -> Analysis:
        """All that can be said of an open text."""
        if path not in self._analyses:
            asked: set[str] = set()
            self._read_for[path] = asked
            self._analyses[path] = examine(self.opened[path].source, lambda used: self._noted(used, asked))
        return self._analyses[path]

    def _noted(self, path: str, asked: set[str]) -> Source:
        asked.add(path)
        return self.read(path)

    def built_in_block(self, path: str, name: Foreign) -> syntax.Block | None:
        """The block that an open text calls and neither it nor a file that it uses defines: the language's own."""
        file = self.analysis(path).file
        blocks = file.select(syntax.Block) if file is not None and name.namespace == "value" else ()
        return next((each for each in blocks if each.name == name.name), None)

    def dependents(self, path: str) -> list[str]:
        """The open texts whose findings may change with a file: itself, and those that asked for it last time."""
        return [each for each in self.opened if each == path or path in self._read_for.get(each, ())]

    def last_sound(self, path: str) -> Member | None:
        """The names of a file when its text had no syntax error last."""
        member = self.project.member(path)
        if member is not None and member.sound:
            self._sound[path] = member
        return self._sound.get(path)

    def known_files(self) -> list[str]:
        """The open texts and the `.space` files of the workspace, as far as the caps go."""
        found = dict.fromkeys(self.opened)
        for path in _files_below(self.roots):
            if len(found) >= FILES_CAP:
                break
            found.setdefault(path)
        return list(found)


def _files_below(roots: Iterable[str]) -> Iterator[str]:
    """Every `.space` file below the roots; hidden folders and installed packages aside."""
    seen = 0
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(
                each for each in folders if not each.startswith(".") and each != "node_modules"
            )
            yield from (f"{folder}/{each}" for each in sorted(files) if each.endswith(SUFFIX))
            seen += 1
            if seen >= FOLDERS_CAP:
                return
