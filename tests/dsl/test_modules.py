"""Files that use others."""

from __future__ import annotations

from dsl import syntax
from dsl.check import check
from dsl.modules import link
from dsl.parser import parsed
from dsl.source import Source
from tests.dsl.operators import OPERATORS

SPACE = "space s {{ input [3, 8, 8]  output [8, 8, 8]  {} }}"


def linked(files: dict[str, str]) -> tuple[syntax.File, list[str]]:
    """The first file, linked, and the codes of what is wrong with it."""

    def read(path: str) -> Source:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return Source(path, files[path])

    name, text = next(iter(files.items()))
    file, found = link(parsed(Source(name, text)), read)
    return file, [each.code for each in [*found, *check(file, OPERATORS)]]


def test_blocks_and_constants_come_in_and_spaces_do_not() -> None:
    file, codes = linked(
        {
            "a/main.space": 'use "blocks.space"\n' + SPACE.format("stem(width)"),
            "a/blocks.space": "width = 8\nblock stem(out) { conv(out, 3) }\n" + SPACE.format("relu"),
        }
    )
    assert codes == []
    assert [getattr(item, "name", None) for item in file.items] == ["width", "stem", "s"]


def test_an_alias_stands_before_the_names() -> None:
    file, codes = linked(
        {
            "main.space": 'use "lib/b.space" as lib\nblock stem(out) { lib.stem(out) }\n'
            + SPACE.format("stem(lib.width)  require latency <= 8 ms on lib.phone"),
            "lib/b.space": 'use "c.space" as c\nwidth = c.base * 2\ntarget phone {}\n'
            "block stem(out) { inner(out) }\nblock inner(out) { conv(out, 3) -> c.act }",
            "lib/c.space": "base = 4\nblock act { relu }",
        }
    )
    assert codes == []
    names = [block.name for block in file.select(syntax.Block)]
    assert names == ["lib.c.act", "lib.stem", "lib.inner", "stem"]


def test_a_shared_file_comes_in_once() -> None:
    _, codes = linked(
        {
            "main.space": 'use "b.space"\nuse "c.space"\n' + SPACE.format("b -> c"),
            "b.space": 'use "d.space"\nblock b { d }',
            "c.space": 'use "d.space"\nblock c { d }',
            "d.space": "block d { conv(8, 3) }",
        }
    )
    assert codes == []


def test_a_clash_is_an_error() -> None:
    _, codes = linked(
        {"main.space": 'use "b.space"\nblock stem { relu }', "b.space": "block stem { conv(8, 3) }"}
    )
    assert codes == ["E0102"]


def test_a_circle_is_an_error() -> None:
    _, codes = linked(
        {"main.space": 'use "b.space"\nblock a { b }', "b.space": 'use "main.space"\nblock b { a }'}
    )
    assert codes == ["E0150"]


def test_a_file_that_is_not_there_is_the_only_error() -> None:
    _, codes = linked({"main.space": 'use "b.space"\nuse "c.space" as c\nblock a { b -> c.d }'})
    assert codes == ["E0151", "E0151"]


def test_mistakes_of_a_used_file_are_reported() -> None:
    _, codes = linked({"main.space": 'use "b.space"\nblock a { b }', "b.space": "block b { relu"})
    assert codes == ["E0013"]


def test_mistakes_beyond_the_end_of_the_main_file_are_reported() -> None:
    """Lines of a used file are not looked up in the file that uses it."""
    files = {
        "main.space": 'use "b.space"\n' + SPACE.format("b"),
        "b.space": "\n" * 20 + "block b { relu -> }",
    }
    main = parsed(Source("main.space", files["main.space"]))
    file, found = link(main, lambda path: Source(path, files[path]))
    assert {each.span.source.name for each in found} == {"b.space"}
    assert check(file, OPERATORS, found) == []
