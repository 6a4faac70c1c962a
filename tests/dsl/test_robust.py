"""Whatever the bytes, the text layer answers with diagnostics, and soon."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.check import check
from dsl.codes import CODES
from dsl.diagnostic import Diagnostic, DiagnosticError, has_errors
from dsl.expected import keywords
from dsl.format import canonical, format_source
from dsl.limits import MAXIMUM_TREE_DEPTH
from dsl.parser import parse, parsed
from dsl.reading import decode
from dsl.render import render
from dsl.resolve import resolve_settings
from dsl.source import Source
from tests.dsl.operators import OPERATORS
from tests.dsl.spaces import SPACES, load

TEXTS = [load(name).text for name in SPACES]
PIECES = [
    *"{}()[]|:,=<>+-*/%.#\"\\'\n\r\t\0 ",
    *[
        "->",
        "..",
        "==",
        "<=",
        "//",
        "1e9",
        "3 ms",
        "5 M",
        "\ufeff",
        "é",
        "→",
        "\ud800",
        "\u202e",
        "name",
        "12",
    ],
    *(literal for literal in keywords().values() if literal.isidentifier()),
]


def everything(data: bytes) -> list[Diagnostic]:
    """All that the text layer does with a file's bytes."""
    try:
        source = decode("fuzz.space", data)
    except DiagnosticError as error:
        return list(error.diagnostics)
    file, found = parse(source)
    if file is not None:
        found += check(file, OPERATORS, found)
        resolve_settings(file)
    if file is not None and not has_errors(parse(source)[1]):
        again = format_source(source)
        assert parsed(Source("again", again)) == file
        assert format_source(Source("again", again)) == again
        assert canonical(parsed(Source("canonical", canonical(file)))) == canonical(file)
    return found


def answers(data: bytes) -> list[str]:
    found = everything(data)
    for form in ("full", "concise", "json"):
        render(found, form, colour=True).encode("utf-8")  # type: ignore[arg-type]
    assert all(each.code in CODES for each in found)
    return [each.code for each in found]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A space with a few places cut, doubled or replaced."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 12)))
        text = text[:at] + draw(st.sampled_from(["", *PIECES, text[at:end] * 2])) + text[end:]
    return text.encode("utf-8", "surrogatepass")


@given(mutated())
@settings(max_examples=60)
def test_mutated_spaces(data: bytes) -> None:
    answers(data)


@given(st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join))
@settings(max_examples=60)
def test_soups_of_tokens(text: str) -> None:
    answers(text.encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=60))
@settings(max_examples=60)
def test_bytes(data: bytes) -> None:
    answers(data)


# Around the depths at which one cap or another begins to hold.
DEPTHS = [1, 9, 20, 30, 31, 32, 40, 41, 42, 61, 62, 63, 64]
HOSTILE = {
    "empty": (b"", []),
    "mark": (b"\xef\xbb\xbfx = 1", []),
    "mark inside": (b"x = \xef\xbb\xbf1", ["E0010"]),
    "not utf-8": (b"\xef\xbb\xbfx = 1\n# \xff", ["E0001"]),
    "utf-16": ("block a { relu }".encode("utf-16"), ["E0001"]),
    "nul": (b"x = \0 1", ["E0010"]),
    "windows": (b"x = 1\r\ny = x\r\n", []),
    "no-break space": ("x =\u00a01".encode(), ["E0010"]),
    "other digits": ("x = \u0663".encode(), ["E0010", "E0012"]),
    "parentheses": (b"x = " + b"(" * 5000 + b"1" + b")" * 5000, ["E0004"]),
    "open parentheses": (b"x = " + b"(" * 5000, ["E0004"]),
    "braces": (b"block a { " + b"if x { " * 5000, ["E0004"]),
    "minuses": (b"x = " + b"-" * 5000 + b"1", ["E0004"]),
    "nots": (b"x = " + b"not " * 5000 + b"true", ["E0004"]),
    "sum": (b"x = 1" + b" + 1" * 5000, ["E0004"]),
    "else if": (b"block a(b) { " + b"if b { relu } else " * 2000 + b"{ relu } }", ["E0004"]),
    "exponent": (b"x = 1e5000000", ["E0005"]),
    "digits": (b"x = " + b"9" * 5000, ["E0005"]),
    "unit": (b"x = 1e5000000 ms", ["E0005"]),
    "escape": (rb'use "\ud800"', ["E0011"]),
    "large": (b"#" * 300_000, ["E0002"]),
    "tokens": (b"x = 1 " * 20_000, ["E0003"]),
    "quotes": (b'"' * 60_000, None),
    "dollars": (b"$ " * 60_000, None),
    "closing": (b"}" * 20_000, None),
    "arrows": (b"block a { " + b"-> " * 20_000, None),
    "long line": (b"block a { " + b"relu -> " * 10_000 + b"relu }", []),
    "long wrong line": (b"block a { " + b"relu relu -> -> " * 5_000 + b"relu }", None),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(name: str) -> None:
    data, wanted = HOSTILE[name]
    started = time.process_time()
    codes = answers(data)
    assert time.process_time() - started < 8
    assert codes == wanted if wanted is not None else codes


@pytest.mark.parametrize(("opening", "closing"), [("(", ")"), ("f(", ")"), ("choose(", ")"), ("not -(", ")")])
def test_everything_under_the_caps_survives(opening: str, closing: str) -> None:
    """A walk over the deepest tree that is let in stays within Python's recursion limit."""
    for depth in DEPTHS:
        answers(f"x = {opening * depth}1{closing * depth}".encode())


@pytest.mark.parametrize(
    "opening", ["if x {", "residual {", "add {", "choose { a:", "repeat 2 {", "mul { a = relu "]
)
def test_nested_braces_survive(opening: str) -> None:
    for depth in DEPTHS[:-1]:
        answers(f"block b(x) {{ {opening * depth} relu {'}' * depth} }}".encode())


def test_the_longest_sum_survives() -> None:
    assert answers(b"x = 1" + b" + 1" * (MAXIMUM_TREE_DEPTH - 4)) == []
