"""Hovers over every place of whole spaces, and their words for types, values and costs."""

from __future__ import annotations

import time

import pytest

from compiler.bounds import Bounds
from compiler.ir.expression import Choice, apply
from compiler.ir.meanings import MEANINGS
from compiler.ir.ops import MERGES, OPERATORS
from compiler.ir.types import TensorType
from compiler.lower.scope import Function
from runtime.lsp.documents import Documents
from runtime.lsp.hover import hover
from runtime.lsp.sights import bounds_text, meaning_text, size_text, type_text
from runtime.lsp.words import meaning_of, meaning_of_parameter, operator_text
from tests.dsl.spaces import SPACES, load

WIDTH = Choice("w", (16, 8, 24))


def opened(text: str) -> tuple[Documents, str]:
    """Documents with one open text, and its path."""
    documents = Documents()
    return documents, documents.put("file:///spaces/a.space", 1, text)


def said(text: str, mark: str, shift: int = 0) -> str | None:
    found = hover(*opened(text), text.index(mark) + shift)
    return None if found is None else found.text


@pytest.mark.parametrize("name", sorted({*SPACES} - {"path_tree", "darts"}))
def test_names_of_a_space_have_something_to_say(name: str) -> None:
    documents, path = opened(load(name).text)
    member = documents.project.member(path)
    assert member is not None
    for occurrence in member.names.occurrences[::6]:
        found = hover(documents, path, occurrence.span.start)
        assert found is not None, occurrence
        assert found.span.start <= occurrence.span.start < found.span.end


def test_no_place_of_a_space_is_too_much() -> None:
    text = load("nas_bench_201").text
    documents, path = opened(text)
    found = [hover(documents, path, offset) for offset in range(0, len(text) + 1, 29)]
    assert any(found)


def test_sizes_types_and_values() -> None:
    half = apply("/", WIDTH, 2)
    assert size_text(16) == "16"
    assert size_text(WIDTH) == "8..24"
    assert type_text(TensorType((half, 7, 7))) == "[4..12, 7, 7]"
    assert meaning_text(WIDTH) == "8, 16, 24"
    assert meaning_text(Choice("w", tuple(range(1, 100)))) == "1 .. 99, 99 values"
    assert meaning_text(True) == "true"
    assert meaning_text(Function("relu")) == "relu"
    many = WIDTH
    for index in range(10):
        many = apply("+", many, Choice(f"d{index}", (1, 2)))  # type: ignore[assignment]
    assert size_text(many) == "?"
    assert meaning_text(many) == "depends on decisions"
    assert bounds_text(Bounds((5, 1024), (0, 0))) == "5 to 1,024 parameters, 0 MACs"


@pytest.mark.parametrize("name", sorted({*OPERATORS} - {*MERGES}))
def test_every_operator_has_words(name: str) -> None:
    assert operator_text(name).startswith(name)
    assert meaning_of(name).endswith(".")
    for attribute in OPERATORS[name].attributes:
        assert meaning_of_parameter(name, attribute.name)
    assert meaning_of_parameter("no_operator", "out") is None
    assert name in MEANINGS


def test_a_text_without_spaces_or_with_syntax_errors_still_has_signatures() -> None:
    library = "# Doubles.\nblock twice(x) { conv(x * 2, 1) }\n"
    assert said(library, "twice") == "```space\nblock twice(x)\n```\n\nDoubles."
    broken = library + "block other { twice(3 }"
    assert str(said(broken, "twice(3")).startswith("```space\nblock twice(x)\n```")
    assert said(library, "{") is None


def test_a_decision_that_is_tied_is_one() -> None:
    text = (
        "tied block cell { conv(8, choose(1, 3)) }\n"
        "space s { input [8, 8, 8]  output [8, 8, 8]  cell -> cell }"
    )
    assert str(said(text, "choose")).startswith("1 decision of 2 options: 1, 3")


def test_a_merge_shows_its_operands() -> None:
    text = "space s { input [8, 8, 8]  output [8, 8, 8]  a = conv(8, 1)  add(in, a) }"
    assert str(said(text, "add(")).startswith("`[8, 8, 8], [8, 8, 8] -> [8, 8, 8]`")


def test_a_large_space_is_answered_soon() -> None:
    """The slowest of the published spaces, whose costs are given up: a second or two, never minutes."""
    text = load("path_tree").text
    documents, path = opened(text)
    start = time.process_time()
    assert hover(documents, path, text.index("space ") + 6) is not None
    assert time.process_time() - start < 20
