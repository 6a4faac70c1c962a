"""The outline of a text, what of it folds, and its house format, as the protocol has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lsprotocol import types

from dsl import syntax
from dsl.diagnostic import DiagnosticError
from dsl.format import format_source
from dsl.references import children
from dsl.scan import scan
from dsl.source import Source, Span
from runtime.lsp.positions import Lines, lines_of

_KINDS: Mapping[type, types.SymbolKind] = {
    syntax.Use: types.SymbolKind.Package,
    syntax.Constant: types.SymbolKind.Constant,
    syntax.Block: types.SymbolKind.Class,
    syntax.Space: types.SymbolKind.Module,
    syntax.Target: types.SymbolKind.Struct,
    syntax.Search: types.SymbolKind.Event,
    syntax.Train: types.SymbolKind.Event,
}
_BRACED = (syntax.Block, syntax.Space, syntax.Target, syntax.Search, syntax.Train, syntax.Body)


def symbols(file: syntax.File, source: Source, encoding: str) -> list[types.DocumentSymbol]:
    """The items of a file, blocks with their parameters, spaces with their inputs."""
    lines = lines_of(source, encoding)
    return [_symbol(item, lines) for item in file.items]


def _symbol(item: syntax.Item, lines: Lines) -> types.DocumentSymbol:
    name, detail = _title(item)
    own = getattr(item, "name_span", None) or (item.path.span if isinstance(item, syntax.Use) else item.span)
    return types.DocumentSymbol(
        name=name,
        detail=detail,
        kind=_KINDS[type(item)],
        range=lines.range(item.span),
        selection_range=lines.range(own),
        children=list(_inner(item, lines)) or None,
    )


def _title(item: syntax.Item) -> tuple[str, str]:
    match item:
        case syntax.Use():
            return item.name or item.path.value or "use", "use"
        case syntax.Search():
            return item.name or item.space, f"search of {item.space}"
        case syntax.Train():
            return item.space, "training recipe"
        case _:
            return item.name, type(item).__name__.lower()


def _inner(item: syntax.Item, lines: Lines) -> Iterator[types.DocumentSymbol]:
    named: list[tuple[str, str, syntax.NamedNode]] = []
    if isinstance(item, syntax.Block):
        named = [(each.name, "parameter", each) for each in item.params]
    elif isinstance(item, syntax.Space):
        named = [(each.name or "input", "input", each) for each in item.inputs]
    for name, detail, node in named:
        place = lines.range(node.span)
        yield types.DocumentSymbol(name, types.SymbolKind.Variable, place, place, detail)


def folds(file: syntax.File, source: Source, encoding: str) -> list[types.FoldingRange]:
    """Braces over several lines, and comments over several lines."""
    lines = lines_of(source, encoding)
    found: dict[int, types.FoldingRange] = {}
    pending: list[syntax.Node] = [file]
    while pending:
        node = pending.pop()
        pending += children(node)
        if isinstance(node, _BRACED):
            place = lines.range(node.span)
            # The line of the closing brace stays in sight.
            if place.end.line - 1 > place.start.line:
                found.setdefault(place.start.line, types.FoldingRange(place.start.line, place.end.line - 1))
    for first, last in _comments(source, lines):
        found.setdefault(first, types.FoldingRange(first, last, kind=types.FoldingRangeKind.Comment))
    return [found[line] for line in sorted(found)]


def _comments(source: Source, lines: Lines) -> Iterator[tuple[int, int]]:
    """The first and last line of each run of lines that are comments alone."""
    try:
        comments = scan(source).comments
    except DiagnosticError:
        return
    alone = [lines.position(each.start).line for each in comments if _is_alone(each)]
    start = 0
    for index in range(1, len(alone) + 1):
        if index == len(alone) or alone[index] != alone[index - 1] + 1:
            if index - start > 1:
                yield alone[start], alone[index - 1]
            start = index


def _is_alone(comment: Span) -> bool:
    return not comment.source.line(comment.line)[: comment.column - 1].strip()


def formatting(source: Source, encoding: str) -> list[types.TextEdit]:
    """The edit that brings a text into the house format; none where it is in it, or has syntax errors."""
    try:
        formatted = format_source(source)
    except DiagnosticError:
        return []
    # An editor keeps the line ends that a file has.
    if formatted == source.text.replace("\r\n", "\n"):
        return []
    return [types.TextEdit(lines_of(source, encoding).whole(), formatted)]
