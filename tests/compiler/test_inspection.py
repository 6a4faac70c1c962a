"""What a place of a text comes to in the expanded spaces."""

from __future__ import annotations

import pytest

from compiler.bounds import Bounds, bounds
from compiler.frontend import examine
from compiler.inspection import Sight, focus_on, focus_on_name, inspect
from compiler.ir.expression import Choice
from compiler.lower.scope import Function, Tensor
from dsl.references import enclosing, names_of
from dsl.source import Source
from tests.dsl.spaces import load

TEXT = """width = 8
block unit(out, kernel = 3) {
    half = out // 2
    conv(half, kernel) -> bn -> conv(out, 1)
}
space s {
    input [3, 16, 16]
    output [10]
    unit(width) -> repeat 2 as i { unit(16 * i, kernel = choose(3, 5)) -> relu }
    -> choose { unit(8) | deep: unit(24) -> conv(8, 1) }
    -> global_pool -> linear(10)
}
"""


def sights(text: str, place: str, outer: str | None = None) -> list[Sight]:
    """What is seen at the first `place`: the innermost node there that is evaluated, or the one of a kind."""
    file = examine(Source("a.space", text)).file
    assert file is not None
    nodes = [each for each in enclosing(file, text.index(place)) if focus_on(each)]
    node = next(each for each in reversed(nodes) if outer is None or type(each).__name__ == outer)
    focus = focus_on(node)
    assert focus is not None
    return inspect(file, focus)


def shown(found: list[Sight]) -> list[str]:
    """The types in and out."""
    return [
        f"{', '.join(map(str, each.operands))} -> {getattr(each.meaning, 'type', each.meaning)}"
        for each in found
    ]


def test_a_block_is_seen_at_each_call() -> None:
    assert shown(sights(TEXT, "block unit")) == [
        "[3, 16, 16] -> [8, 16, 16]",
        "[8, 16, 16] -> [16, 16, 16]",
        "[16, 16, 16] -> [32, 16, 16]",
        "[32, 16, 16] -> [8, 16, 16]",
        "[32, 16, 16] -> [24, 16, 16]",
    ]


def test_an_operator_is_seen_with_its_cost_at_each_place() -> None:
    found = sights(TEXT, "conv(half", "Call")
    assert shown(found)[:2] == ["[3, 16, 16] -> [4, 16, 16]", "[8, 16, 16] -> [8, 16, 16]"]
    assert bounds(found[0].items) == Bounds((4 * 3 * 9, 4 * 3 * 9), (27648, 27648))
    assert bounds(found[1].items) == Bounds((8 * 8 * 9, 8 * 8 * 25), (8 * 8 * 9 * 256, 8 * 8 * 25 * 256))


def test_bare_steps_and_references() -> None:
    assert shown(sights(TEXT, "bn ->"))[0] == "[4, 16, 16] -> [4, 16, 16]"
    assert len(sights(TEXT, "relu }")) == 2
    text = TEXT.replace("-> global_pool", "-> act -> global_pool").replace(
        "width = 8", "width = 8\nact = relu"
    )
    (definition,) = sights(text, "relu\n")
    assert definition.meaning == Function("relu")


def test_in_and_values() -> None:
    text = TEXT.replace("conv(half", "conv(in.channels // 1 + half")
    assert [
        str(each.meaning.type) for each in sights(text, "in.ch", "In") if isinstance(each.meaning, Tensor)
    ][:2] == ["[3, 16, 16]", "[8, 16, 16]"]
    assert [each.meaning for each in sights(text, ".channels", "Attr")][:2] == [3, 8]
    assert [each.meaning for each in sights(text, "out // 2", "Binary")] == [4, 8, 16, 4, 12]
    (decided, again) = sights(text, "choose(3, 5)")
    assert decided.meaning == Choice("i1.kernel", (3, 5))
    assert again.meaning == Choice("i2.kernel", (3, 5))


@pytest.mark.parametrize(
    ("name", "values"),
    [("width", [8]), ("out", [8, 16, 32, 8, 24]), ("half", [4, 8, 16, 4, 12]), ("i", [1, 2])],
)
def test_names_are_what_they_are_bound_to(name: str, values: list[int]) -> None:
    file = examine(Source("a.space", TEXT)).file
    assert file is not None
    (definition,) = [each for each in names_of(file).definitions if each.name == name]
    focus = focus_on_name(definition)
    assert focus is not None
    assert [each.meaning for each in inspect(file, focus)][: len(values)] == values


def test_inputs_are_tensors() -> None:
    text = "space s { input a [3, 8, 8]  input b [3, 8, 8]  output [3, 8, 8]  add(a, b) }"
    file = examine(Source("a.space", text)).file
    assert file is not None
    (a, _) = [each for each in names_of(file).definitions if each.kind == "input"]
    focus = focus_on_name(a)
    assert focus is not None
    (seen,) = inspect(file, focus)
    assert isinstance(seen.meaning, Tensor)
    (merged,) = sights(text, "add", "MergeCall")
    assert shown([merged]) == ["[3, 8, 8], [3, 8, 8] -> [3, 8, 8]"]


def test_a_candidate_is_reached_under_its_condition() -> None:
    (_, _, _, fourth, fifth) = sights(TEXT, "block unit")
    assert len(fourth.assuming) == len(fifth.assuming) == 1
    assert bounds(fourth.items, [*fourth.assuming, *fifth.assuming]) is None


def test_a_text_with_mistakes_gives_what_can_be_lowered() -> None:
    text = TEXT.replace("-> global_pool", "-> conv(7, 2) -> global_pool")
    assert shown(sights(text, "block unit"))[0] == "[3, 16, 16] -> [8, 16, 16]"


def test_every_step_of_a_published_space_is_seen() -> None:
    source = load("proxyless_mobile")
    assert len(sights(source.text, "depthwise(kernel", "Call")) == 22
    assert len(sights(source.text, "block layer")) == 21
