"""Renaming: what changes, that the meaning stays, and what is refused."""

from __future__ import annotations

import pytest

from dsl.parser import parsed
from dsl.project import Project
from dsl.references import Definition, names_of
from dsl.rename import CannotRename, renamable, rename
from dsl.source import Source
from tests.dsl.spaces import SPACES, load

RESERVED = {"conv", "relu", "min"}
MAIN = """use "blocks.space"
base = 8
block layer(out, kernel = 3) {
    half = out // 2
    conv(half, kernel) -> act
}
space s { input [3, 8, 8]  output [8, 8, 8]  layer(base, kernel = 5) }
"""
BLOCKS = "block act { relu }\nblock gate(out) { conv(out, 1) }\n"


def renamed(files: dict[str, str], place: str, new: str, path: str = "main.space") -> dict[str, str]:
    """The files after renaming what stands at the first `place` of one of them."""
    project = Project(lambda name: Source(name, files[name]))
    spans = rename(project, path, files[path].index(place), new, files, RESERVED)
    changed = dict(files)
    for span in sorted(spans, key=lambda each: -each.start):
        text = changed[span.source.name]
        changed[span.source.name] = text[: span.start] + new + text[span.end :]
    return changed


@pytest.mark.parametrize(
    ("place", "new", "line"),
    [
        ("half", "middle", "    middle = out // 2\n    conv(middle, kernel) -> act\n"),
        ("kernel =", "size", "layer(out, size = 3) {"),
        ("kernel = 5", "size", "layer(base, size = 5) }"),
        ("layer(base", "cell", "cell(base, kernel = 5) }"),
        ("base", "width", "layer(width, kernel = 5) }"),
    ],
)
def test_a_name_and_all_that_refer_to_it_change(place: str, new: str, line: str) -> None:
    files = {"main.space": MAIN, "blocks.space": BLOCKS}
    assert line in renamed(files, place, new)["main.space"]


def test_used_files_change_with_those_that_use_them() -> None:
    files = {
        "main.space": 'use "b.space" as lib\nblock a { lib.unit(out = 3) -> unit }\nblock unit { relu }',
        "b.space": "block unit(out) { conv(out, 1) -> unit(out = 4) }",
    }
    after = renamed(files, "unit", "cell", "b.space")
    assert after["b.space"] == "block cell(out) { conv(out, 1) -> cell(out = 4) }"
    assert after["main.space"] == files["main.space"].replace("lib.unit", "lib.cell")
    after = renamed(files, "out", "width", "b.space")
    assert "lib.unit(width = 3)" in after["main.space"]
    assert after["b.space"] == "block unit(width) { conv(width, 1) -> unit(width = 4) }"


@pytest.mark.parametrize(
    ("place", "new", "reason"),
    [
        ("conv", "x", "built-in or unknown"),
        ("out // 2", "half", "taken: binding at main.space:4:5"),
        ("half", "out", "taken: parameter at main.space:3:13"),
        ("half", "base", "taken: constant at main.space:2:1"),
        ("half", "gate", "taken: block at blocks.space:2:7"),
        ("half", "conv", "an operator or a function"),
        ("half", "repeat", "is a keyword"),
        ("half", "3x", "is no name"),
        ("half", "ä", "is no name"),
        ("half", "a\n", "is no name"),
        ("3) {", "x", "no name of a block"),
    ],
)
def test_refusals(place: str, new: str, reason: str) -> None:
    with pytest.raises(CannotRename, match=reason):
        renamed({"main.space": MAIN, "blocks.space": BLOCKS}, place, new)


def test_a_name_taken_in_a_file_that_uses_it_is_refused() -> None:
    with pytest.raises(CannotRename, match=r"taken: binding at main\.space:4:5"):
        renamed({"main.space": MAIN, "blocks.space": BLOCKS}, "act", "half", "blocks.space")


def test_a_file_that_uses_it_and_has_syntax_errors_is_refused() -> None:
    with pytest.raises(CannotRename, match=r"main\.space .* syntax errors"):
        renamed({"main.space": MAIN + "block {", "blocks.space": BLOCKS}, "act", "activate", "blocks.space")


def test_the_name_of_a_used_file_is_refused() -> None:
    project = Project(lambda name: Source(name, 'use "b.space" as lib'))
    with pytest.raises(CannotRename, match="used file"):
        renamable(project, "a.space", 18)


def shape(text: str) -> list[int | str]:
    """For each name, the position of its definition among all, so that equal shapes mean the same."""
    found = names_of(parsed(Source("a.space", text)))
    return [
        found.definitions.index(each.meaning) if isinstance(each.meaning, Definition) else each.name
        for each in found.occurrences
    ]


@pytest.mark.parametrize("name", SPACES)
def test_renaming_anything_keeps_what_every_name_refers_to(name: str) -> None:
    source = load(name)
    found = names_of(parsed(source))
    project = Project(lambda _: source)
    for definition in found.definitions:
        spans = [each.span for each in found.occurrences if each.meaning == definition]
        start = definition.span.start
        assert rename(project, source.name, start, "fresh_name", [source.name], RESERVED) == spans
        text = source.text
        for span in reversed(spans):
            text = text[: span.start] + "fresh_name" + text[span.end :]
        assert shape(text) == shape(source.text)
