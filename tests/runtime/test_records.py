"""Records survive kills and several writers; damage is found, named, and what is whole is kept."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compiler.codegen.schedules.template import Schedule
from runtime.cli import app
from runtime.records import (
    Key,
    Record,
    Records,
    RecordsProblem,
    best_of,
    digest,
    read_pack,
    salvage,
    write_pack,
)

KEY = Key("target", "0.27", "processor")


def record(
    signature: str = "k", vectors: int = 1, times: tuple[int, ...] = (5, 3, 4), key: Key = KEY
) -> Record:
    schedule = Schedule.of("dense", {"vectors": vectors, "pixels": 2})
    return Record(signature, key, schedule, times, "ok", "2026-01-01T00:00:00+00:00")


def test_what_was_added_is_read_back_by_another(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "records.sqlite"
    with Records(path) as records:
        for vectors, time in ((1, 9), (2, 3), (3, 5)):
            records.add(record(vectors=vectors, times=(time,)))
        records.add(record("other"))
    with Records(path) as records:
        assert len(records.rows()) == 4
        assert best_of(records.rows(["k"], KEY)) == {"k": record(vectors=2, times=(3,))}
        assert records.rows(["k"], Key("target", "0.28", "processor")) == []
        assert records.check() == []


def test_a_new_measurement_replaces_the_old_one(tmp_path: Path) -> None:
    with Records(tmp_path / "r.sqlite") as records:
        records.add(record(times=(9,)))
        records.add(record(times=(4,)))
        assert [row.times_ns for row in records.rows()] == [(4,)]


def test_failures_are_kept_and_never_best(tmp_path: Path) -> None:
    failed = Record("k", KEY, Schedule.of("dense", {"vectors": 7}), (), "failed: crashed", "now")
    with Records(tmp_path / "r.sqlite") as records:
        records.add(failed)
        assert records.rows() == [failed]
    assert best_of([failed, record()]) == {"k": record()}


def test_a_changed_row_is_named_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Records(path) as records:
        records.add_all([record("good"), record("bad")])
    connection = sqlite3.connect(path)
    connection.execute("UPDATE measurement SET times_ns = '[1]' WHERE signature = 'bad'")
    connection.commit()
    connection.close()
    with Records(path) as records:
        assert records.rows() == [record("good")]
        assert len(records.damaged) == 1
        assert records.damaged[0].startswith("bad ")
        assert records.check() == records.damaged


def test_a_broken_file_is_refused_and_its_whole_rows_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Records(path) as records:
        records.add_all([record(f"kernel {index:04}") for index in range(400)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 6000] = b"\x5a" * 6000
    path.write_bytes(bytes(data))
    with Records(path) as records:
        assert records.check()
    kept, aside = salvage(path)
    assert 0 < kept < 400
    assert aside.exists()
    with Records(path) as records:
        assert len(records.rows()) == kept
        assert records.check() == []


def test_what_is_no_database_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(b"not a database, but long enough to be looked at " * 50)
    with pytest.raises(RecordsProblem, match="--records"):
        Records(path)


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=9")
    connection.commit()
    connection.close()
    with pytest.raises(RecordsProblem, match="version 9"):
        Records(path)


def test_several_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    Records(path).close()

    def write(writer: int) -> None:
        with Records(path) as records:
            for index in range(20):
                records.add(record(f"{writer}.{index}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    with Records(path) as records:
        assert len(records.rows()) == 160
        assert records.check() == []


def test_packs_read_back_equal_and_show_damage() -> None:
    records = [record("a"), record("b", 2)]
    text = write_pack(records)
    assert read_pack(text) == records
    assert digest(records) == digest(reversed(records))
    lines = text.splitlines()
    with pytest.raises(RecordsProblem, match="torn"):
        read_pack("\n".join(lines[:-1]))
    changed = json.loads(lines[1]) | {"times_ns": "[1]"}
    with pytest.raises(RecordsProblem, match=":2: the record is damaged"):
        read_pack("\n".join([lines[0], json.dumps(changed), lines[2]]))
    for other in ("", "{}", "nonsense", '{"schema": "onepath.records/9"}'):
        with pytest.raises(RecordsProblem, match="schema"):
            read_pack(other)


def test_the_command_line_finds_damage_and_keeps_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    runner, option = CliRunner(), ["--records", str(path)]
    for name in ("check", "salvage"):
        assert f"onepath records {name}" in runner.invoke(app, ["records", name, "--help"]).output
        missing = runner.invoke(app, ["records", name, *option])
        assert missing.exit_code == 2
        assert "there is no records database" in missing.output
    with Records(path) as records:
        records.add_all([record("good"), record("bad")])
    assert runner.invoke(app, ["records", "check", *option]).exit_code == 0
    untouched = runner.invoke(app, ["records", "salvage", *option, "--format", "json"])
    assert json.loads(untouched.output) == {"database": str(path), "kept": None, "aside": None}
    connection = sqlite3.connect(path)
    connection.execute("UPDATE measurement SET times_ns = '[1]' WHERE signature = 'bad'")
    connection.commit()
    connection.close()
    damaged = runner.invoke(app, ["records", "check", *option, "--format", "json"])
    assert damaged.exit_code == 1
    assert len(json.loads(damaged.output)["damage"]) == 1
    assert runner.invoke(app, ["records", "salvage", *option]).exit_code == 0
    assert runner.invoke(app, ["records", "check", *option]).exit_code == 0
    with Records(path) as records:
        assert records.rows() == [record("good")]


def test_the_command_line_leaves_a_newer_version_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    assert CliRunner().invoke(app, ["records", "salvage", "--records", str(path)]).exit_code == 2
    assert list(tmp_path.glob("*damaged*")) == []
    path.write_text("no database at all" * 100)
    assert CliRunner().invoke(app, ["records", "check", "--records", str(path)]).exit_code == 1
