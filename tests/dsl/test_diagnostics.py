"""Several mistakes in one file, and how they are shown."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from dsl.check import check
from dsl.codes import CODES
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


@pytest.mark.parametrize("form", ["concise", "json", "sarif", "github"])
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


NOTED = Note("there, 100%", Source("b,c.space", "x").span(0, 1))


def test_sarif_is_a_log_of_one_run() -> None:
    """Its shape is that of the standard, section 3: places are code points from 1, the end is excluded."""
    source = Source("a b/é.space", "x = 1\né = [\n]\n")
    found = Diagnostic("E0101", "no", source.span(6, 12), "hint", (NOTED,))
    warning = Diagnostic("W0101", "so", source.span(0, 1))
    log = json.loads(render([warning, found], "sarif"))
    (run,) = log["runs"]
    assert (log["version"], run["columnKind"]) == ("2.1.0", "unicodeCodePoints")
    rules = run["tool"]["driver"]["rules"]
    assert [each["id"] for each in rules] == ["E0101", "W0101"]
    assert [rules[each["ruleIndex"]]["id"] for each in run["results"]] == ["W0101", "E0101"]
    assert [each["level"] for each in run["results"]] == ["warning", "error"]
    assert run["results"][1]["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "a%20b/%C3%A9.space"},
                "region": {"startLine": 2, "startColumn": 1, "endLine": 3, "endColumn": 1},
            }
        }
    ]
    assert run["results"][1]["message"]["text"] == "no\nhint: hint"
    (related,) = run["results"][1]["relatedLocations"]
    assert related["message"]["text"] == "there, 100%"
    assert "relatedLocations" not in run["results"][0]


def test_sarif_explains_every_rule_that_it_names() -> None:
    found = [Diagnostic(code, "no", Source("/x/a", "x").span(0, 1)) for code in CODES]
    log = json.loads(render(found, "sarif"))
    for rule in log["runs"][0]["tool"]["driver"]["rules"]:
        assert rule["help"]["text"].startswith(rule["id"])
        assert rule["help"]["markdown"].startswith(f"## {rule['id']}")
        assert rule["shortDescription"]["text"] == CODES[rule["id"]].title
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "file:///x/a"


def test_sarif_of_nothing_has_a_run() -> None:
    assert json.loads(render([], "sarif"))["runs"][0]["results"] == []


def test_github_commands_are_escaped() -> None:
    source = Source("a:b,c.space", "x = 1\ny = 2\n")
    found = Diagnostic("E0101", "100%\nno", source.span(0, 1), "use x, y: z", (NOTED,))
    assert render([found], "github") == (
        "::error file=a%3Ab%2Cc.space,line=1,endLine=1,col=1,endColumn=2,title=E0101::"
        "100%25%0Ano%0Ab,c.space:1:1: there, 100%25%0Ahint: use x, y: z\n"
    )


def test_github_columns_stand_only_within_one_line() -> None:
    found = Diagnostic("W0101", "no", Source("a", "x = 1\ny = 2\n").span(0, 7))
    assert render([found], "github") == "::warning file=a,line=1,endLine=2,title=W0101::no\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "stream", "wanted"),
    [
        ({}, Terminal(), True),
        ({}, io.StringIO(), False),
        ({"TERM": "dumb"}, Terminal(), False),
        ({"NO_COLOR": "1"}, Terminal(), False),
        ({"NO_COLOR": ""}, Terminal(), True),
        ({"FORCE_COLOR": "1"}, io.StringIO(), True),
        ({"CLICOLOR_FORCE": "1"}, io.StringIO(), True),
        ({"CLICOLOR_FORCE": "0"}, io.StringIO(), False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, Terminal(), False),
    ],
)
def test_colour_is_for_those_that_want_it(
    variables: dict[str, str], stream: io.StringIO, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(stream) is wanted


def test_colour_is_only_what_was_asked_for() -> None:
    found = [Diagnostic("W0101", "no", Source("a", "x").span(0, 1))]
    assert "\033[33m" in render(found, colour=True)
    assert "\033" not in render(found)
    for form in ("concise", "json", "sarif", "github"):
        assert "\033" not in render(found, form, colour=True)  # type: ignore[arg-type]
