"""What may be typed at a place, and the signature of the call around it, as the protocol has them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from lsprotocol import types

from compiler.frontend import SIGNATURES
from dsl import syntax
from dsl.completion import Known, complete
from dsl.diagnostic import DiagnosticError
from dsl.outline import kind_back, open_call, opened
from dsl.parser import fitting
from dsl.project import Member, Project
from dsl.references import Definition
from dsl.signature import FUNCTIONS, Signature, of_block, written
from runtime.lsp.documents import SUFFIX, Documents
from runtime.lsp.words import meaning_of_parameter, operator_text

_KINDS: Mapping[str, types.CompletionItemKind] = {
    "argument": types.CompletionItemKind.Field,
    "attribute": types.CompletionItemKind.Property,
    "block": types.CompletionItemKind.Class,
    "constant": types.CompletionItemKind.Constant,
    "file": types.CompletionItemKind.File,
    "function": types.CompletionItemKind.Function,
    "keyword": types.CompletionItemKind.Keyword,
    "local": types.CompletionItemKind.Variable,
    "operator": types.CompletionItemKind.Operator,
    "setting": types.CompletionItemKind.Property,
    "space": types.CompletionItemKind.Module,
    "target": types.CompletionItemKind.Struct,
    "unit": types.CompletionItemKind.Unit,
    "word": types.CompletionItemKind.EnumMember,
}
_NAMES_CAP = 500


def completions(documents: Documents, path: str, offset: int) -> list[types.CompletionItem]:
    """What may be typed at an offset of an open text, the likeliest first."""
    found = complete(documents.opened[path].source, offset, known(documents, path))
    return [
        types.CompletionItem(
            label=each.label,
            kind=_KINDS[each.kind],
            detail=each.detail or None,
            insert_text=each.insert,
            # Editors sort by this text, not by the order of the answer.
            sort_text=f"{index:04}",
        )
        for index, each in enumerate(found)
    ]


def known(documents: Documents, path: str) -> Known:
    """The names of a file. Of a text that has lost some to a syntax error, its last sound state's as well."""
    definitions: dict[tuple[str, str], Definition] = {}
    for member in (documents.last_sound(path), documents.project.member(path)):
        definitions.update(_named(documents.project, path, member))
    blocks = {
        name: of_block(each.node)
        for (_, name), each in definitions.items()
        if isinstance(each.node, syntax.Block)
    }

    def of_kind(kind: str) -> list[str]:
        return [name for (_, name), each in definitions.items() if each.kind == kind]

    return Known(
        {**SIGNATURES, **FUNCTIONS, **blocks},
        of_kind("constant"),
        of_kind("target"),
        of_kind("space"),
        lambda beginning: _files(path, beginning),
    )


def _named(
    project: Project, path: str, member: Member | None
) -> Iterator[tuple[tuple[str, str], Definition]]:
    """The names at the top of a file and those that it brings in, by namespace and name."""
    yield from project.brought(path).items()
    for each in member.names.definitions if member is not None else ():
        if each.kind in ("block", "constant", "target", "space"):
            yield (each.namespace, each.name), each


def _files(path: str, beginning: str) -> Iterable[str]:
    """Files and folders that a path relative to a file could go on with."""
    folder, _, name = beginning.rpartition("/")
    base = os.path.join(os.path.dirname(path), folder)
    if not os.path.isabs(base):
        return []
    try:
        with os.scandir(base) as entries:
            names = sorted(_offered(entry) for entry in entries if not entry.name.startswith("."))
    except OSError:
        return []
    prefix = f"{folder}/" if folder else ""
    itself = os.path.basename(path)
    found = [
        f"{prefix}{each}"
        for each in names
        if each.startswith(name) and each != (itself if not folder else "")
    ]
    return [each for each in found if each.endswith(("/", SUFFIX))][:_NAMES_CAP]


def _offered(entry: os.DirEntry[str]) -> str:
    return f"{entry.name}/" if entry.is_dir() else entry.name


def signature_help(documents: Documents, path: str, offset: int) -> types.SignatureHelp | None:
    """The signature of the innermost call whose parentheses are open at an offset, and the argument there."""
    try:
        _, tokens = fitting(documents.opened[path].source, offset)
    except DiagnosticError:
        return None
    names = known(documents, path)
    for bracket in reversed(opened(tokens)):
        call = open_call(tokens, bracket)
        signature = names.callables.get(call.callee) if call is not None else None
        if call is not None and signature is not None:
            placed = call.positional if kind_back(tokens, 1) != "RPAR" else None
            return _help(signature, call.callee, call.current, placed)
    return None


def _help(signature: Signature, callee: str, current: str | None, placed: int | None) -> types.SignatureHelp:
    active = signature.names.index(current) if current in signature.names else placed
    label = operator_text(callee) if signature.kind == "operator" else written(signature)
    parameters = [
        types.ParameterInformation(name, meaning_of_parameter(callee, name)) for name in signature.names
    ]
    information = types.SignatureInformation(label, None, parameters, active)
    return types.SignatureHelp([information], 0, active)
