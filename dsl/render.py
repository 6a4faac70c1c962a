"""Diagnostics as text: `full` for people, `concise` for editors and grep, the others for programs.

`json` is Onepath's own form, `sarif` the standard one, `github` annotates the lines of a pull request.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, TextIO, TypeAlias, get_args

from dsl.annotations import as_annotation
from dsl.diagnostic import Diagnostic, Note
from dsl.source import Span

Form: TypeAlias = Literal["full", "concise", "json", "sarif", "github"]
FORMS: tuple[Form, ...] = get_args(Form)

_RED, _YELLOW, _BLUE, _BOLD, _RESET = "\033[31m", "\033[33m", "\033[34m", "\033[1m", "\033[0m"
# A caret line never grows past this, whatever the file's lines are.
_LONGEST_LINE = 160
_GUTTER = 5


def wants_colour(stream: TextIO) -> bool:
    """Whether to colour what goes to a stream.

    `NO_COLOR` says no (https://no-color.org), `FORCE_COLOR` and `CLICOLOR_FORCE` yes
    (https://force-color.org, https://bixense.com/clicolors); without them a terminal says yes, unless it is a dumb one.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def render(diagnostics: Sequence[Diagnostic], form: Form = "full", colour: bool = False) -> str:
    """All diagnostics in one form, ending in a new line; empty where there are none, `[]` as JSON."""
    if form == "json":
        return _json([as_json(each) for each in diagnostics])
    if form == "sarif":
        from dsl.sarif import as_sarif

        return _json(as_sarif(diagnostics))
    if form == "github":
        return "".join(f"{_visible(as_annotation(each))}\n" for each in diagnostics)
    if form == "concise":
        return "".join(f"{_visible(str(each))}\n" for each in diagnostics)
    return "\n".join("\n".join(_full(each, colour)) + "\n" for each in diagnostics)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`, or an empty text."""
    found = [each.severity for each in diagnostics]
    counts = [(found.count("error"), "error"), (found.count("warning"), "warning")]
    return ", ".join(f"{count} {word}{'s' * (count > 1)}" for count, word in counts if count)


def as_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """The stable form: lines and columns from 1, columns in code points, the end after the last character."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        **_place(diagnostic.span),
        "hint": diagnostic.hint,
        "notes": [{"message": note.message, **_place(note.span)} for note in diagnostic.notes],
    }


def _place(span: Span) -> dict[str, Any]:
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def _full(diagnostic: Diagnostic, colour: bool) -> Iterator[str]:
    paint = _RED if diagnostic.severity == "error" else _YELLOW
    head = f"{diagnostic.severity}[{diagnostic.code}]"
    message = _visible(diagnostic.message)
    yield f"{diagnostic.span}: {_painted(head, paint, colour)}: {_painted(message, _BOLD, colour)}"
    yield from _excerpt(diagnostic.span, "^", paint, colour)
    beneath = [note for note in diagnostic.notes if _is_beneath(note, diagnostic.span)]
    for note in beneath:
        yield from _underline(note.span, "-", _BLUE, colour, f"  {_visible(note.message)}")
    for note in diagnostic.notes:
        if note not in beneath:
            yield from _note(note, diagnostic.span, colour)
    if diagnostic.hint is not None:
        yield f"  = hint: {_visible(diagnostic.hint)}"


def _is_beneath(note: Note, main: Span) -> bool:
    """Whether a note's place is in the line that is shown already, whole."""
    same = note.span.source is main.source and note.span.line == main.line
    return same and len(main.source.line(main.line)) <= _LONGEST_LINE


def _note(note: Note, main: Span, colour: bool) -> Iterator[str]:
    place = f"{note.span}" if note.span.source is not main.source else f"line {note.span.line}"
    yield f"  {_painted(place, _BLUE, colour)}: {_visible(note.message)}"
    yield from _excerpt(note.span, "-", _BLUE, colour)


def _excerpt(span: Span, mark: str, paint: str, colour: bool) -> Iterator[str]:
    """The span's first line with the span underlined; the part around it where the line is long."""
    line, cut = span.source.line(span.line), _cut(span)
    yield f"{span.line:{_GUTTER}} | {_visible(line[cut : cut + _LONGEST_LINE])}".rstrip()
    yield from _underline(span, mark, paint, colour)


def _cut(span: Span) -> int:
    """Where the part of a long line starts that is shown."""
    long = len(span.source.line(span.line)) > _LONGEST_LINE
    return max(0, span.column - 1 - _LONGEST_LINE // 2) if long else 0


def _underline(span: Span, mark: str, paint: str, colour: bool, said: str = "") -> Iterator[str]:
    """Marks under the span in its first line, and what is said of it."""
    line, start, cut = span.source.line(span.line), span.column - 1, _cut(span)
    end = span.end_column - 1 if span.end_line == span.line else len(line)
    before, marked = line[cut:start], line[start : min(end, cut + _LONGEST_LINE)]
    underline = _painted(mark * max(_width(marked), 1), paint, colour)
    yield f"{' ' * _GUTTER} | {' ' * _width(before)}{underline}{said}"


def _painted(text: str, paint: str, colour: bool) -> str:
    return f"{paint}{text}{_RESET}" if colour else text


def _visible(text: str) -> str:
    """A text that cannot steer a terminal: control and direction characters become one visible character."""
    return "".join(_visible_character(each) for each in text)


def _visible_character(character: str) -> str:
    if character == "\t":
        return " "
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) in ("Cc", "Cf", "Cs") else character


def _width(text: str) -> int:
    """The number of terminal columns a text takes, so that carets stand under what they mean."""
    return sum(_character_width(each) for each in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
