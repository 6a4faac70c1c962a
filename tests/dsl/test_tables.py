"""Parser tables from the cache parse as those just built; a damaged cache is built anew."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from dsl import tables
from tests.dsl.spaces import SPACES, load

GRAMMAR = files("grammar").joinpath("space.lark").read_text(encoding="utf-8")


def test_kept_tables_parse_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = tables.lark_of(GRAMMAR, tmp_path)
    monkeypatch.setattr(tables, "_built", lambda grammar: pytest.fail("the cache was not used"))
    kept = tables.lark_of(GRAMMAR, tmp_path)
    for name in SPACES:
        text = load(name).text
        assert kept.parse(text) == built.parse(text)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key": 1}', "flip"])
def test_a_damaged_cache_is_built_anew(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables.lark_of(GRAMMAR, tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_text()
    path.write_text(
        whole.replace('"SHIFT"', '"shift"').replace("17", "18", 5) if damage == "flip" else damage
    )
    assert tables.lark_of(GRAMMAR, tmp_path).parse("a = 1\n").data == "start"
    monkeypatch.setattr(tables, "_built", lambda grammar: pytest.fail("the cache was not written again"))
    assert tables.lark_of(GRAMMAR, tmp_path).parse("a = 1\n").data == "start"


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert tables.lark_of(GRAMMAR, tmp_path / "file").parse("a = 1\n").data == "start"
