"""Texts that are being typed: whatever stands in them, every request has an answer."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.rename import CannotRename
from runtime.lsp import completion, navigation, symbols
from runtime.lsp.diagnostics import published
from runtime.lsp.documents import Documents
from runtime.lsp.hover import hover

TEXT = (Path(__file__).resolve().parents[3] / "examples" / "quickstart.space").read_text(encoding="utf-8")
PIECES = st.sampled_from(
    [
        *("choose ", "{", "}", "(", ")", "->", "in.", "add choose 2 of {", "|", "repeat 3 as i {", "tied "),
        *("block ", "space ", 'use "x" as q\n', "q.x", "8 ms", "# c\n", '"', "=", "..", "contains", "if "),
        *("else", "😀", "\r\n", "require latency <= 8 ms on ", "1e39", "as k", "residual when ", "\ud800"),
    ]
)
EDITS = st.lists(
    st.tuples(st.integers(0, len(TEXT)), PIECES, st.sampled_from([0, 0, 3, 20])), min_size=1, max_size=4
)


@settings(max_examples=40)
@given(EDITS, st.floats(0, 1))
def test_every_request_is_answered(edits: list[tuple[int, str, int]], where: float) -> None:
    text = TEXT
    for at, piece, replaced in edits:
        text = text[:at] + piece + text[at + replaced :]
    documents = Documents()
    path = documents.put("file:///typed.space", 1, text)
    source, offset = documents.opened[path].source, round(where * len(text))
    assert all(each.message for each in published(documents, path, "utf-16"))
    hover(documents, path, offset)
    assert all(each.label for each in completion.completions(documents, path, offset))
    completion.signature_help(documents, path, offset)
    navigation.definition(documents, path, offset, "utf-16")
    named = navigation.references(documents, path, offset, "utf-16", True)
    with suppress(CannotRename):
        edit = navigation.renamed(documents, path, offset, "a_fresh_name", "utf-16")
        assert sum(map(len, (edit.changes or {}).values())) == len(named)
    symbols.formatting(source, "utf-16")
    member = documents.project.member(path)
    if member is not None:
        assert all(each.name for each in symbols.symbols(member.names.file, source, "utf-16"))
        symbols.folds(member.names.file, source, "utf-16")
