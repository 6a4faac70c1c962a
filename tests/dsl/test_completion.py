"""What may be typed at a place: the likeliest first, nothing that could not stand there."""

from __future__ import annotations

import re

import pytest

from dsl.check_bodies import ATTRIBUTES
from dsl.completion import Known, complete
from dsl.known_targets import known_targets
from dsl.schema import SECTIONS
from dsl.signature import FUNCTIONS, Parameter, Signature
from dsl.source import Source
from dsl.units import METRICS, UNITS
from tests.dsl.operators import OPERATORS
from tests.dsl.spaces import SPACES, load

BLOCK = Signature("cell", (Parameter("out"), Parameter("stride", False)), "block")
KNOWN = Known(
    {**OPERATORS, **FUNCTIONS, "cell": BLOCK, "lib.unit": BLOCK},
    ("width", "lib.depth"),
    ("laptop", "lib.phone"),
    ("mobile",),
    lambda beginning: [f"{beginning}locks.space"],
)
ITEMS = ["block", "search", "space", "target", "tied", "train", "use"]
KEYS = {section: [key.name for key in keys] for section, (keys, _) in SECTIONS.items()}


def labels(text: str, kind: str | None = None) -> list[str]:
    """The labels suggested at the `|` of a text (`¦` where the text has bars of its own)."""
    mark = "¦" if "¦" in text else "|"
    before, _, after = text.partition(mark)
    found = complete(Source("a.space", before + after), len(before), KNOWN)
    return [each.label for each in found if kind is None or each.kind == kind]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|", ITEMS),
        ("blo|", ITEMS),
        ("block |", []),
        ("block a(|", []),
        ("# in a comment |", []),
        ('target t { kind = "ll|vm" }', []),
        ('use "b|', ["blocks.space"]),
        ("block a { in.| }", list(ATTRIBUTES)),
        ("block a { x = in.he| }", list(ATTRIBUTES)),
        ("space s { lib.| }", ["depth", "unit"]),
        ("search |", ["mobile"]),
        ("train mo|", ["mobile"]),
        ("search s { latency <= 8| }", list(UNITS["time"])),
        ("search s { latency <= 8 ms on |", ["host", "laptop", "lib.phone", *sorted(known_targets())]),
        ("search s { latency <= 8 ms on lib.|", ["phone"]),
        ("target t { tune_budget = 90|", list(UNITS["time"])),
        ("space s { require |", list(METRICS)),
        ("target t { | }", KEYS["target"]),
        ('target t { kind = "llvm"\n | }', [key for key in KEYS["target"] if key != "kind"]),
        ("search s { strategy = | }", ["gradient", "reinforce", "evolution", "random"]),
        ("search s { strategy = gradient(|) }", ["update", "every", "delay", "lr", "entropy", "explore"]),
        ("search s { strategy = gradient(lr = 1, |) }", ["update", "every", "delay", "entropy", "explore"]),
        ("search s { strategy = gradient(update = |) }", ["recompute", "two_path"]),
        ("train s { schedule = |", ["cosine", "constant"]),
    ],
)
def test_the_whole_answer(text: str, expected: list[str]) -> None:
    assert labels(text) == expected


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("space s { cell(|) }", "argument", ["out", "stride"]),
        ("space s { cell(8, |) }", "argument", ["stride"]),
        ("space s { cell(stride = 2, |) }", "argument", ["out"]),
        ("space s { lib.unit(8, st|) }", "argument", ["stride"]),
        ("space s { x = min(|) }", "argument", []),
        ("block a(out, kernel) { x = in  conv(|) }", "local", ["out", "kernel", "x"]),
        ("block a(out, kernel = |) { }", "local", ["out", "kernel"]),
        ("block a(out) { relu }\nblock b(x) { | }", "local", ["x"]),
        ("space s { input image [3, 8, 8] | }", "local", ["image"]),
        ("space s { repeat 3 as i { conv(|) } }", "local", ["i"]),
        ("block a { choose { x: y = in  y | z: ¦ } }", "local", []),
        ("block a { x = | }", "constant", ["width", "lib.depth"]),
        ("block a { x = | }", "function", ["min", "max", "divisible"]),
        ("block a { relu -> | }", "constant", []),
        ("block a { relu -> | }", "block", ["cell", "lib.unit"]),
        ("block a { relu -> | }", "operator", list(OPERATORS)),
        ("block a { if true { relu } | }", "keyword", None),
        ("search s { latency <= 8 |", "unit", list(UNITS["time"])),
        ("search s { data = cifar10  | }", "setting", [*KEYS["search"][1:], *METRICS]),
    ],
)
def test_one_kind(text: str, kind: str, expected: list[str] | None) -> None:
    found = labels(text, kind)
    assert "else" in found if expected is None else found == expected


def test_what_is_inserted_and_what_it_says() -> None:
    found = complete(Source("a.space", "space s { cell("), 15, KNOWN)
    (out, stride), rest = found[:2], found[2:]
    assert (out.insert, out.detail) == ("out = ", "must be given")
    assert (stride.insert, stride.detail) == ("stride = ", "has a default")
    assert {each.label: each.detail for each in rest}["conv"].startswith("conv(out, kernel, stride = …")


@pytest.mark.parametrize("name", SPACES)
def test_every_place_of_a_space_answers_and_every_word_is_offered(name: str) -> None:
    """At the start of an operator's name that name is among what may be typed, whatever stands behind it."""
    source = load(name)
    for step in re.finditer(r"\b(conv|bn|global_pool)\b", source.text):
        assert step[0] in [each.label for each in complete(source, step.start(), KNOWN)]
    for offset in range(0, len(source.text), 41):
        found = [(each.kind, each.label) for each in complete(source, offset, KNOWN)]
        assert len(found) == len(set(found))


def test_hostile_texts_answer() -> None:
    for text in ("{" * 70, "\ud800", "(" * 10, '"', "a" * 300_000, "\0", "block a(" * 50, "= = = ->"):
        assert complete(Source("a.space", text), len(text), KNOWN) is not None
