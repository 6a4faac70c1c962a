"""`onepath records` as a user meets it: a database, packs given and taken, damage, wrong input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from runtime.cli import app
from runtime.records import Record, Records, load_pack, write_pack
from tests.runtime.records.rows import ELSEWHERE, record, relu, spoil

SPACE = """
space small {
    input [3, 8, 8]
    output [10]
    conv(8, 3) -> relu -> global_pool -> linear(10)
}
"""


def call(*arguments: str | Path) -> Result:
    """What a command answers."""
    return CliRunner().invoke(app, ["records", *map(str, arguments)])


def answer(*arguments: str | Path) -> dict[str, object]:
    """What a command answers to a program."""
    result = call(*arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def database(path: Path, *rows: Record) -> Path:
    """A database of some records."""
    with Records(path) as records:
        records.add_all(rows)
    return path


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Records of two kernels on two processors."""
    rows = [record(relu(size), vectors, (100 * size + vectors,)) for size in (8, 16) for vectors in (1, 2, 4)]
    return database(tmp_path / "mine.sqlite", *rows, record(relu(8), 1, (7,), ELSEWHERE))


def test_the_fastest_of_each_kernel_are_listed_slowest_first(mine: Path) -> None:
    lines = call("list", "--records", mine).stdout.splitlines()
    assert [line.split(" ms  ")[1] for line in lines[:-1:2]] == [relu(16), relu(8), relu(8)]
    assert lines[1].strip() == "a processor 1234, znver5, 1 thread; measured here"
    assert lines[-1] == "7 records of 3 kernels"
    shown = json.loads(call("list", "--records", mine, "--best", "2", "--format", "json").stdout)
    assert [round(row["median_ms"] * 1e6) for row in shown] == [1602, 1601, 802, 801, 7]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ((), 7),
        (("--best", "1"), 3),
        (("--processor", "another"), 1),
        (("--kernel", "16x"), 3),
        (("--target", "znver5", "--threads", "1"), 7),
        (("--threads", "2"), 0),
        (("--target", "znver"), 0),
        (("--processor", "here"), 0),
    ],
)
def test_a_part_of_the_records_is_exported(
    mine: Path, tmp_path: Path, options: tuple[str, ...], count: int
) -> None:
    pack = tmp_path / "pack.jsonl"
    result = call("export", pack, "--records", mine, *options)
    assert result.exit_code == (0 if count else 1)
    assert pack.exists() == bool(count)
    if count:
        assert len(load_pack(pack)) == count
        assert result.stdout == f"{count} record{'s' if count > 1 else ''} in {pack}\n"
    else:
        assert "no record is what you asked for; nothing was written" in result.output


def test_a_pack_is_taken_once_and_says_where_it_came_from(mine: Path, tmp_path: Path) -> None:
    pack, theirs = tmp_path / "pack.jsonl", tmp_path / "theirs.sqlite"
    call("export", pack, "--records", mine, "--note", "from the lab")
    first = answer("import", pack, "--records", theirs)
    assert first == {"records": 7, "new": 7, "newer": 0, "same": 0, "older": 0, "of_this_processor": 0}
    assert answer("import", pack, "--records", theirs)["same"] == 7
    assert call("list", "--records", theirs).stdout.count(": from the lab") == 3
    again = tmp_path / "again.jsonl"
    call("export", again, "--records", theirs)
    assert again.read_text() == pack.read_text()


def test_packs_are_merged_without_a_database(tmp_path: Path) -> None:
    one, other, both = (tmp_path / name for name in ("one.jsonl", "other.jsonl", "both.jsonl"))
    one.write_text(write_pack([record(day=1), record(vectors=2, times=(9,))]))
    other.write_text(write_pack([record(day=2)]))
    assert answer("merge", one, other, "--out", both) == {"pack": str(both), "records": 2}
    assert [row.measured[:10] for row in load_pack(both)] == ["2026-01-02", "2026-01-01"]
    assert answer("merge", one, other, "--out", both, "--best", "1", "--force")["records"] == 1


def test_a_bad_pack_changes_nothing(mine: Path, tmp_path: Path) -> None:
    pack = tmp_path / "pack.jsonl"
    pack.write_text(write_pack([record(relu(98)), record(relu(99), times=(0,))]))
    before = mine.read_bytes()
    result = call("import", pack, "--records", mine)
    assert result.exit_code == 2
    assert f"{pack}:3: the record is damaged (a time is not positive)" in result.output
    assert mine.read_bytes() == before
    assert call("import", pack, "--records", tmp_path / "new.sqlite").exit_code == 2
    assert call("merge", pack, "--out", tmp_path / "both.jsonl").exit_code == 2
    assert not list(tmp_path.glob("new.sqlite*")) + list(tmp_path.glob("both*"))


@pytest.mark.parametrize(
    "command", [("list",), ("check",), ("salvage",), ("export", "pack.jsonl"), ("table", "small.space")]
)
def test_what_is_not_there_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.space").write_text(SPACE)
    result = call(*command, "--records", "nowhere.sqlite")
    assert result.exit_code == 2
    assert "there is no records database at nowhere.sqlite; name one with --records" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["small.space"]


def test_damage_is_found_and_saved(mine: Path) -> None:
    assert "nothing is damaged" in call("check", "--records", mine).stdout
    assert answer("salvage", "--records", mine) == {
        "database": str(mine),
        "kept": None,
        "lost": None,
        "damaged": None,
        "lost_besides": None,
        "aside": None,
    }
    spoil(mine, relu(16))
    found = call("check", "--records", mine)
    assert found.exit_code == 1
    assert found.stdout.count(relu(16)) == 3
    assert f"keep what is whole with `onepath records salvage --records {mine}`" in found.stdout
    assert "3 damaged records left out: `onepath records check`" in call("list", "--records", mine).output
    saved = answer("salvage", "--records", mine)
    assert saved["kept"] == {"record": 4, "price": 0, "network": 0}
    assert saved["lost"] == {"record": 3, "price": 0, "network": 0}
    assert saved["lost_besides"] == {"rows": 0, "pages": 0, "rows_on_pages": 0, "known": True}
    assert len(saved["damaged"]) == 3
    assert Path(str(saved["aside"])).is_file()
    assert call("check", "--records", mine).exit_code == 0


def test_what_never_was_a_database_is_left_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing of interest " * 1000)
    for command in ("list", "check", "salvage"):
        result = call(command, "--records", path)
        assert result.exit_code == (1 if command == "check" else 2)
        assert "Traceback" not in result.output
    assert "this is no records database" in result.output
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_a_table_needs_prices_and_says_which(mine: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "small.space", tmp_path / "table.json"
    file.write_text(SPACE)
    result = call("table", file, "--records", mine, "--out", out)
    assert result.exit_code == 1
    assert "the records hold no price of 3 kernels for target" in result.output
    assert "f32 nhwc (3x8x8) conv(%0, out=8" in result.output
    assert not out.exists()


def test_nothing_but_a_pack_is_replaced_and_that_by_force(mine: Path, tmp_path: Path) -> None:
    pack, notes = tmp_path / "pack.jsonl", tmp_path / "notes.txt"
    assert call("export", pack, "--records", mine, "--best", "1").exit_code == 0
    notes.write_text("mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for out, reason in (
        (pack, "is there already; choose another name, or replace it with --force"),
        (notes, "is there already and is not a pack of records"),
        (mine, "belongs to what this command reads"),
        (f"{mine}-wal", "belongs to what this command reads"),
        (tmp_path, "is a folder"),
        (tmp_path / "new" / "pack.jsonl", "its folder does not exist"),
        ("/dev/full", "is no regular file"),
    ):
        result = call("export", out, "--records", mine, *([] if out == pack else ["--force"]))
        assert (result.exit_code, reason in result.output) == (2, True), result.output
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert call("export", pack, "--records", mine, "--force").exit_code == 0
    assert len(load_pack(pack)) == 7


def test_a_merge_replaces_no_input_and_no_database(mine: Path, tmp_path: Path) -> None:
    pack = tmp_path / "pack.jsonl"
    pack.write_text(write_pack([record()]))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for out, reason in ((pack, "belongs to what this command reads"), (mine, "is not a pack of records")):
        result = call("merge", pack, "--out", out, "--force")
        assert (result.exit_code, reason in result.output) == (2, True), result.output
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_table_replaces_neither_the_space_nor_the_database(mine: Path, tmp_path: Path) -> None:
    file = tmp_path / "small.space"
    file.write_text(SPACE)
    for out in (file, mine):
        result = call("table", file, "--records", mine, "--out", out, "--force")
        assert result.exit_code == 2
        assert "belongs to what this command reads" in result.output
    assert file.read_text() == SPACE


def test_a_pack_is_not_taken_for_a_database(tmp_path: Path) -> None:
    pack = tmp_path / "pack.jsonl"
    pack.write_text(write_pack([record()]))
    for command in (("list",), ("check",), ("salvage",), ("import", pack)):
        result = call(*command, "--records", pack)
        assert result.exit_code == 2
        assert f"{pack} is a pack, not a database; `onepath records import {pack}`" in result.output


def test_a_salvage_says_what_became_of_each_kind(mine: Path) -> None:
    spoil(mine, relu(16))
    lines = call("salvage", "--records", mine).stdout.splitlines()
    assert lines[0] == f"kept in {mine}: 4 records, 0 prices, 0 networks"
    assert lines[1] == "lost: 3 records, 0 prices, 0 networks"
    assert all(line.startswith(f"  record: {relu(16)} ") for line in lines[2:5])
    assert lines[5].startswith(f"the damaged file is now {mine}.damaged-")


def test_a_salvage_of_a_file_that_was_cut_says_what_nobody_can_tell(mine: Path) -> None:
    with Records(mine) as records:
        records.add_all(record(relu(size), vectors) for size in range(1, 60) for vectors in (1, 2))
        whole = len(records.rows())
    content = mine.read_bytes()
    mine.write_bytes(content[: len(content) // 2 // 4096 * 4096])
    text = call("salvage", "--records", mine).stdout
    kept = int(re.search(r": (\d+) records,", text)[1])  # type: ignore[index]
    rows, pages = map(int, re.search(r"rows, about (\d+) .*, on (\d+) pages that are gone", text).groups())  # type: ignore[union-attr]
    assert 0 < kept < whole
    assert 0.5 < rows / (whole - kept) < 2
    assert pages >= len(content) // 2 // 4096


def test_a_check_has_words_around_what_sqlite_says(mine: Path) -> None:
    with Records(mine) as records:
        records.add_all(record(relu(size)) for size in range(1, 60))
    content = bytearray(mine.read_bytes())
    content[-3 * 4096 : -2 * 4096] = b"\xff" * 4096
    mine.write_bytes(content)
    lines = call("check", "--records", mine).stdout.splitlines()
    assert lines[0].startswith("file: pages were overwritten or are missing, and rows with them (SQLite: ")
    assert not any("***" in line or "main" in line for line in lines)
