"""Definitions, references and renaming, as the protocol has them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from lsprotocol import types

from compiler.frontend import SIGNATURES
from compiler.ir.ops import OPERATORS
from dsl.references import Foreign, Occurrence
from dsl.rename import renamable, rename
from dsl.signature import FUNCTIONS
from dsl.source import Span
from runtime.lsp.diagnostics import location_of
from runtime.lsp.documents import Documents
from runtime.lsp.positions import lines_of

RESERVED = frozenset({*SIGNATURES, *OPERATORS, *FUNCTIONS})


def definition(documents: Documents, path: str, offset: int, encoding: str) -> types.Location | None:
    """Where the name at an offset is made; of the path of a `use`, the beginning of that file."""
    for use, used in documents.project.uses(path):
        if use.path.span.start <= offset <= use.path.span.end:
            member = documents.project.member(used)
            return (
                location_of(member.names.file.span.source.span(0, 0), documents, encoding) if member else None
            )
    found = documents.project.at(path, offset)
    if found is None:
        return None
    occurrence, made = found
    if made is None and isinstance(occurrence.meaning, Foreign):
        block = documents.built_in_block(path, occurrence.meaning)
        span = block.name_span if block is not None else None
        # The language's own blocks may stand in no file that an editor could open.
        return location_of(span, documents, encoding) if span and os.path.isfile(span.source.name) else None
    return location_of(made.span, documents, encoding) if made is not None else None


def occurrences(documents: Documents, path: str, offset: int, paths: Iterable[str]) -> list[Occurrence]:
    """Every place in these files that names what the name at an offset refers to."""
    found = documents.project.at(path, offset)
    if found is None:
        return []
    if found[1] is None:
        member = documents.project.member(path)
        same = member.names.occurrences if member is not None else ()
        return [each for each in same if each.meaning is not None and each.meaning == found[0].meaning]
    return documents.project.references(found[1], paths)


def references(
    documents: Documents, path: str, offset: int, encoding: str, declaration: bool
) -> list[types.Location]:
    """Every place of the workspace that names what the name at an offset refers to."""
    paths = dict.fromkeys([path, *documents.known_files()])
    found = documents.project.at(path, offset)
    if found is not None and found[1] is not None:
        paths.setdefault(found[1].span.source.name)
    return [
        location_of(each.span, documents, encoding)
        for each in occurrences(documents, path, offset, paths)
        if declaration or not each.is_definition
    ]


def highlights(documents: Documents, path: str, offset: int, encoding: str) -> list[types.DocumentHighlight]:
    """The same within one text; what is made there is written, the rest read."""
    lines = lines_of(documents.opened[path].source, encoding)
    return [
        types.DocumentHighlight(
            lines.range(each.span),
            types.DocumentHighlightKind.Write if each.is_definition else types.DocumentHighlightKind.Read,
        )
        for each in occurrences(documents, path, offset, [path])
    ]


def prepare(documents: Documents, path: str, offset: int, encoding: str) -> types.PrepareRenamePlaceholder:
    """What would be renamed.

    Raises:
        CannotRename: see `dsl.rename`.
    """
    span, found = renamable(documents.project, path, offset)
    return types.PrepareRenamePlaceholder(lines_of(span.source, encoding).range(span), found.name)


def renamed(documents: Documents, path: str, offset: int, new: str, encoding: str) -> types.WorkspaceEdit:
    """The edits that rename it, in every file of the workspace that names it.

    Raises:
        CannotRename: see `dsl.rename`.
    """
    spans = rename(documents.project, path, offset, new, documents.known_files(), RESERVED)
    changes: dict[str, list[types.TextEdit]] = {}
    for span in spans:
        changes.setdefault(documents.uri(span.source.name), []).append(_edit(span, new, encoding))
    return types.WorkspaceEdit(changes=changes)


def _edit(span: Span, new: str, encoding: str) -> types.TextEdit:
    return types.TextEdit(lines_of(span.source, encoding).range(span), new)
