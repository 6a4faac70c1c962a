"""Several mistakes in one file, and how they are shown."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from dsl.check import check
from dsl.diagnostic import Diagnostic, Note
from dsl.parser import parse
from dsl.render import Form, render, summary, wants_colour
from dsl.source import Source
from tests.conftest import Golden
from tests.dsl.operators import OPERATORS

FOLDER = Path(__file__).parent.parent / "golden" / "dsl" / "errors"


def findings(name: str) -> list[Diagnostic]:
    file, spelling = parse(Source(f"{name}.space", (FOLDER / f"{name}.space").read_text(encoding="utf-8")))
    assert file is not None
    return [*spelling, *check(file, OPERATORS, spelling)]


@pytest.mark.parametrize("name", ["spelling", "names", "settings"])
def test_every_mistake_of_a_file(name: str, golden: Golden) -> None:
    found = findings(name)
    golden(f"dsl/errors/{name}.txt", render(found) + summary(found) + "\n")


@pytest.mark.parametrize("form", ["concise", "json"])
def test_forms(form: Form, golden: Golden) -> None:
    golden(f"dsl/errors/names.{form}", render(findings("names"), form))


def test_json_has_every_key() -> None:
    source = Source("a.space", "x = 1\né = 2\n")
    found = Diagnostic("E0101", "no", source.span(6, 7), "hint", (Note("there", source.span(0, 1)),))
    assert json.loads(render([found], "json")) == [
        {
            "code": "E0101",
            "severity": "error",
            "message": "no",
            "file": "a.space",
            "line": 2,
            "column": 1,
            "end_line": 2,
            "end_column": 2,
            "hint": "hint",
            "notes": [
                {
                    "message": "there",
                    "file": "a.space",
                    "line": 1,
                    "column": 1,
                    "end_line": 1,
                    "end_column": 2,
                }
            ],
        }
    ]
    assert render([], "json") == "[]\n"


def test_carets_stand_under_wide_characters() -> None:
    source = Source("a", "# 好\t好 x")
    lines = render([Diagnostic("E0101", "no", source.span(6, 7))]).splitlines()
    assert lines[1:] == ["    1 | # 好 好 x", "      |         ^"]


def test_long_lines_are_cut_around_the_place() -> None:
    source = Source("a", "x" * 5000 + " !" + "y" * 5000)
    text = render([Diagnostic("E0101", "no", source.span(5001, 5002))])
    assert max(map(len, text.splitlines())) < 200
    assert "!" in text


def test_a_text_cannot_steer_the_terminal() -> None:
    source = Source("a", "x = \x1b[31m\u202e")
    text = render(parse(source)[1])
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert wants_colour(Terminal())
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())
    found = [Diagnostic("W0101", "no", Source("a", "x").span(0, 1))]
    assert "\033[33m" in render(found, colour=True)
    assert "\033" not in render(found)
