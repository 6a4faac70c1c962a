"""Colours: every terminal of the grammar has the right one, in Pygments and in the TextMate grammar."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.token import Error, Name, Number

from dsl.expected import keywords
from dsl.highlight import LOOKS, SpaceLexer
from dsl.lexical import look_of, terminals
from dsl.scan import grammar, scan
from dsl.source import Source
from dsl.textmate import SCOPES, grammar_text
from tests.conftest import Golden
from tests.dsl.spaces import FOLDER

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*FOLDER.glob("*.space"), *(ROOT / "examples").glob("*.space")])
GRAMMAR = json.loads(grammar_text())
SAMPLES = {
    "COMMENT": "# a comment",
    "STRING": '"a \\" b"',
    "QUANTITY": "320 KiB",
    "NUMBER": "4e-5",
    "NAME": "mbconv",
    "LIMIT": "<=",
    "WS": " ",
}
TEXTS = {**keywords(), **SAMPLES}


def pygments_tokens(text: str) -> list[tuple[object, str]]:
    return [(kind, part) for kind, part in SpaceLexer(ensurenl=False, stripnl=False).get_tokens(text)]


def textmate_tokens(text: str) -> Iterator[tuple[str, str]]:
    """A scope and the text it covers, as a TextMate engine gives them: the earliest match, then the first rule."""
    for line in text.split("\n"):
        at = 0
        while at < len(line):
            found = [(match.start(), number, match) for number, match in matches(line, at)]
            if not found:
                yield "", line[at:]
                break
            start, number, match = min(found, key=lambda each: each[:2])
            if start > at:
                yield "", line[at:start]
            yield scope_of(GRAMMAR["patterns"][number]), match[0]
            at = match.end()


def matches(line: str, at: int) -> Iterator[tuple[int, re.Match[str]]]:
    for number, rule in enumerate(GRAMMAR["patterns"]):
        match = re.compile(rule["match"]).search(line, at)
        if match is not None:
            yield number, match


def scope_of(rule: dict[str, object]) -> str:
    captures: dict[str, dict[str, str]] = rule.get("captures", {})  # type: ignore[assignment]
    return str(rule.get("name") or captures.get("0", {}).get("name") or captures["1"]["name"])


@pytest.mark.parametrize("terminal", [each.name for each in grammar().terminals])
def test_every_terminal_has_its_look(terminal: str) -> None:
    """A terminal that is new in the grammar fails here until `SAMPLES` or the table of looks has it."""
    text, look = TEXTS[terminal], look_of(terminal)
    assert pygments_tokens(text) == [(LOOKS[look], text)]
    assert list(textmate_tokens(text)) == [(SCOPES.get(look, ""), text)]


def test_what_a_keyword_is() -> None:
    looks = {each.name: each.look for each in terminals()}
    assert looks["BLOCK"] == "declaration"
    assert looks["RESIDUAL"] == "control"
    assert looks["CONTAINS"] == "word operator"
    assert {look for terminal, look in looks.items() if terminal in keywords()} == {
        *("declaration", "control", "constant", "in", "merge", "word operator", "operator", "punctuation")
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_whole_spaces_have_no_errors_and_the_parsers_words(path: Path) -> None:
    """Both highlighters cut a text as the parser does: same ends, nothing left over."""
    text = path.read_text(encoding="utf-8")
    found = pygments_tokens(text)
    assert "".join(part for _, part in found) == text
    assert all(kind not in Error for kind, _ in found)
    parsed = [str(token) for token in scan(Source(path.name, text)).tokens]
    assert [
        part for kind, part in found if not str(kind).startswith(("Token.Text", "Token.Comment"))
    ] == parsed
    scoped = [
        (scope, part)
        for scope, part in textmate_tokens(text)
        if part.strip() and not scope.startswith("comment")
    ]
    assert "" not in {scope for scope, _ in scoped}
    assert "".join("".join(part.split()) for _, part in scoped) == "".join("".join(t.split()) for t in parsed)


def test_units_and_names_that_begin_like_keywords() -> None:
    kinds = {part: kind for kind, part in pygments_tokens("x = 3 s = 5\nin_x -> tied2 8 ms")}
    assert kinds["3"] in Number
    assert kinds["s"] in Name
    assert kinds["in_x"] in Name
    assert kinds["tied2"] in Name
    assert kinds["8 ms"] in Number


def test_what_the_language_does_not_have_is_an_error() -> None:
    assert (Error, "~") in pygments_tokens("block a { ~ }")


def test_pygments_finds_the_lexer_by_its_entry_point() -> None:
    assert type(get_lexer_by_name("space")).__name__ == "SpaceLexer"
    assert type(get_lexer_for_filename("a.space")).__name__ == "SpaceLexer"


def test_the_textmate_grammar_is_written_from_the_terminals(golden: Golden) -> None:
    golden("../../grammar/vscode/syntaxes/space.tmLanguage.json", grammar_text())


def test_the_extensions_files_fit_together() -> None:
    folder = ROOT / "grammar" / "vscode"
    manifest = json.loads((folder / "package.json").read_text())
    (language,) = manifest["contributes"]["languages"]
    (colours,) = manifest["contributes"]["grammars"]
    assert colours["language"] == language["id"]
    assert colours["scopeName"] == GRAMMAR["scopeName"]
    for name in (manifest["main"], language["configuration"], colours["path"]):
        assert (folder / name).is_file()
    brackets = json.loads((folder / "language-configuration.json").read_text())["brackets"]
    assert {tuple(each) for each in brackets} == {("{", "}"), ("[", "]"), ("(", ")")}
