"""Names and what they refer to, in one file and across files."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dsl.parser import parse
from dsl.project import Project
from dsl.references import Foreign, Names, enclosing, names_of
from dsl.source import Source
from tests.dsl.spaces import SPACES, load

BODY = """width = 8
block unit(out, stride = 1) {
    half = out // 2
    repeat 2 as i { conv(half, i) }
    -> conv(width, stride)
}
space s {
    input image [3, width, 8]
    output [10]
    image -> unit(width, stride = 2)
    require latency <= 8 ms on phone
}
target phone { threads = 1 }
search s { latency <= 8 ms on phone }
"""


def names(text: str) -> Names:
    file, _ = parse(Source("a.space", text))
    assert file is not None
    return names_of(file)


def uses(found: Names, kind: str, name: str) -> list[int]:
    """The lines on which the only definition of a kind and a name is named."""
    (definition,) = [each for each in found.definitions if (each.kind, each.name) == (kind, name)]
    return [each.span.line for each in found.occurrences if each.meaning == definition]


@pytest.mark.parametrize(
    ("kind", "name", "lines"),
    [
        ("constant", "width", [1, 5, 8, 10]),
        ("block", "unit", [2, 10]),
        ("parameter", "out", [2, 3]),
        ("parameter", "stride", [2, 5, 10]),
        ("binding", "half", [3, 4]),
        ("index", "i", [4, 4]),
        ("input", "image", [8, 10]),
        ("target", "phone", [11, 13, 14]),
        ("space", "s", [7, 14]),
    ],
)
def test_every_kind_of_name(kind: str, name: str, lines: list[int]) -> None:
    assert uses(names(BODY), kind, name) == lines


def test_a_name_covers_its_own_characters_and_the_place_behind_them() -> None:
    found = names(BODY)
    start = BODY.index("half, i")
    for offset in range(start, start + 5):
        occurrence = found.at(offset)
        assert occurrence is not None
        assert occurrence.span.text == "half"
    bracket = found.at(start - 1)
    assert bracket is not None
    assert bracket.span.text == "conv"
    assert found.at(BODY.index("{")) is None


def test_names_that_the_file_does_not_define_are_left_open() -> None:
    found = names('use "b.space" as lib\nblock a { lib.unit(kernel = lib.width) -> bn }')
    foreign = {
        each.span.text: each.meaning for each in found.occurrences if isinstance(each.meaning, Foreign)
    }
    assert foreign == {
        "unit": Foreign("lib.unit"),
        "kernel": Foreign("lib.unit", parameter="kernel"),
        "width": Foreign("lib.width"),
        "bn": Foreign("bn"),
    }


def test_a_local_name_shadows_nothing_outside_its_braces() -> None:
    found = names("block a { x = in  x -> bn }\nblock b { x = in  x -> bn }")
    lines = [each.span.line for each in found.occurrences if each.name == "x"]
    assert lines == [1, 1, 2, 2]
    meanings = [each.meaning for each in found.occurrences if each.name == "x"]
    assert meanings[0] == meanings[1] != meanings[2] == meanings[3]


def test_the_nodes_around_a_place() -> None:
    file, _ = parse(Source("a.space", BODY))
    assert file is not None
    chain = [type(each).__name__ for each in enclosing(file, BODY.index("half, i") + 1)]
    assert chain == ["File", "Block", "Body", "Pipe", "Repeat", "Body", "Pipe", "Call", "Arg", "Ref"]


@pytest.mark.parametrize("name", SPACES)
def test_every_name_of_a_whole_space_stands_where_its_text_says(name: str) -> None:
    file, _ = parse(load(name))
    assert file is not None
    found = names_of(file)
    assert len(found.occurrences) > 20
    for each in found.occurrences:
        assert each.span.text == each.name
    spans = [each.span for each in found.occurrences]
    assert all(one.end <= two.start for one, two in pairwise(spans))


FILES = {
    "main.space": 'use "lib/b.space" as lib\nuse "c.space"\n'
    "space s { input [3, 8, 8]  output [8, 8, 8]  lib.unit(lib.width) -> deep(out = 8)\n"
    "require latency <= 8 ms on lib.phone }",
    "lib/b.space": "width = 8\ntarget phone {}\nblock unit(out) { conv(out, 3) }",
    "c.space": 'use "d.space"',
    "d.space": "block deep(out) { conv(out, 3) }",
    "circle.space": 'use "circle.space"\nuse "gone.space"\nblock a { a }',
}


def reading(path: str) -> Source:
    """The source of one of `FILES`."""
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory", path)
    return Source(path, FILES[path])


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("unit(", "lib/b.space:3:7"),
        ("width)", "lib/b.space:1:1"),
        ("phone", "lib/b.space:2:8"),
        ("deep(", "d.space:1:7"),
        ("out =", "d.space:1:12"),
        ("lib.width", "main.space:1:22"),
    ],
)
def test_definitions_in_other_files(name: str, place: str) -> None:
    found = Project(reading).at("main.space", FILES["main.space"].index(name, 40))
    assert found is not None
    assert str(found[1].span if found[1] else None) == place


def test_references_in_other_files() -> None:
    project = Project(reading)
    found = project.at("d.space", FILES["d.space"].index("out"))
    assert found is not None
    assert found[1] is not None
    places = [str(each.span) for each in project.references(found[1], ["d.space", "main.space"])]
    assert places == ["d.space:1:12", "d.space:1:24", "main.space:3:74"]


def test_files_that_use_themselves_or_none() -> None:
    project = Project(reading)
    assert project.reach("circle.space") == {"circle.space", "gone.space"}
    assert project.member("gone.space") is None
    found = project.at("circle.space", FILES["circle.space"].rindex("a"))
    assert found is not None
    assert found[1] is not None
    assert found[1].kind == "block"
