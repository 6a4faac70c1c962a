"""Records are shared by several writers; damage is found, named, and what is whole is kept."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from compiler.codegen.schedules.template import Schedule
from runtime.records import (
    NetworkRecord,
    PriceRecord,
    Record,
    Records,
    RecordsProblem,
    Taken,
    best_of,
    fastest,
)
from runtime.records.salvage import salvage
from runtime.records.schema import VERSION
from tests.runtime.records.rows import ELSEWHERE, KEY, of_first_version, record, relu, spoil

SCHEDULE = Schedule.of("elementwise/1", {"vectors": 1})


def test_what_was_added_is_read_back_by_another(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "records.sqlite"
    with Records(path) as records:
        for vectors, time in ((1, 9), (2, 3), (3, 5)):
            records.add(record(vectors=vectors, times=(time,)))
        records.add(record("other"))
    with Records(path) as records:
        assert len(records.rows()) == 4
        assert best_of(records.rows([relu()], KEY)) == {relu(): record(vectors=2, times=(3,))}
        assert records.rows([relu()], replace(KEY, tvm="0.28")) == []
        assert records.check() == []


def test_a_new_measurement_replaces_the_old_one(tmp_path: Path) -> None:
    with Records(tmp_path / "r.sqlite") as records:
        records.add(record(times=(9,)))
        records.add(record(times=(4,)))
        assert [row.times_ns for row in records.rows()] == [(4,)]


def test_failures_are_kept_and_never_best(tmp_path: Path) -> None:
    failed = Record(relu(), KEY, Schedule.of("dense", {"vectors": 7}), (), "failed: crashed", "now")
    with Records(tmp_path / "r.sqlite") as records:
        records.add(failed)
        assert records.rows() == [failed]
    assert best_of([failed, record()]) == {relu(): record()}
    assert fastest([failed, record(), record(vectors=2, times=(1,)), record(key=ELSEWHERE)], 1) == [
        record(vectors=2, times=(1,)),
        record(key=ELSEWHERE),
    ]


def test_the_newer_of_two_measurements_stays(tmp_path: Path) -> None:
    ours = [record(vectors=vectors, day=5) for vectors in (1, 2, 3)]
    theirs = [
        ours[0],
        record(vectors=2, day=6),
        record(vectors=3, day=4),
        record(vectors=4),
        record(key=ELSEWHERE),
    ]
    with Records(tmp_path / "r.sqlite") as records:
        records.add_all(ours)
        assert records.take(theirs) == Taken(new=2, newer=1, same=1, older=1)
        assert records.take(theirs) == Taken(new=0, newer=0, same=4, older=1)
        days = [(row.schedule.parameters[0][1], int(row.measured[8:10])) for row in records.rows(key=KEY)]
        assert days == [(1, 5), (2, 6), (3, 5), (4, 1)]
        assert records.rows(key=ELSEWHERE) == [theirs[-1]]


def test_a_damaged_row_of_ours_gives_way(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Records(path) as records:
        records.add(record(day=5))
        spoil(path, relu())
        assert records.take([record(day=1)]) == Taken(new=1, newer=0, same=0, older=0)
        assert records.rows() == [record(day=1)]


def test_prices_and_networks_are_kept_beside_the_records(tmp_path: Path) -> None:
    price = PriceRecord(relu(), KEY, SCHEDULE, 1234.5, 1.25, 16, 0.5, 0.01, 1.1, measured="now")
    network = NetworkRecord(KEY, (relu(), relu(16)), (SCHEDULE, SCHEDULE), 0.1, 0.30000000000000004, "now")
    with Records(tmp_path / "r.sqlite") as records:
        records.add_prices([replace(price, median_ns=1.0), price, replace(price, context="alone")])
        records.add_networks([replace(network, measured_ms=9.0), network])
        assert records.prices([relu()], KEY) == [replace(price, context="alone"), price]
        assert records.prices([relu(16)], KEY) == []
        assert records.networks(KEY) == [network]
        assert records.networks(ELSEWHERE) == []


def test_the_kernels_of_a_key_are_listed(tmp_path: Path) -> None:
    with Records(tmp_path / "r.sqlite") as records:
        assert records.signatures(KEY) == []
        records.add_all([record(relu(size), vectors) for size in (8, 16, 32) for vectors in (1, 2)])
        records.add(record(relu(64), key=ELSEWHERE))
        assert records.signatures(KEY) == sorted([relu(8), relu(16), relu(32)])


def test_a_database_of_the_first_version_keeps_every_row(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    old = [record(relu(size), vectors, day=vectors) for size in (8, 16) for vectors in (1, 2)]
    of_first_version(path, [*old, record("spoilt")])
    spoil(path, "spoilt")
    for _ in range(2):
        with Records(path) as records:
            rows = records.rows()
            assert sorted(rows, key=lambda row: (row.signature, row.schedule.text)) == sorted(
                old, key=lambda row: (row.signature, row.schedule.text)
            )
            assert [row.origin for row in rows] == [""] * 4
            assert [name.split()[0] for name in records.damaged] == ["spoilt"]
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_prices_and_networks_of_an_older_version_are_taken_anew(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Records(path) as records:
        records.add(record(relu()))
        records.add_prices([PriceRecord(relu(), KEY, record().schedule, 5.0, 1.0, 3)])
        records.add_networks([NetworkRecord(KEY, (relu(),), (record().schedule,), 1.0, 1.1)])
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=2")
    connection.close()
    with Records(path) as records:
        assert records.rows() == [record(relu())]
        assert records.prices([relu()], KEY) == []
        assert records.networks(KEY) == []
        records.add_prices([PriceRecord(relu(), KEY, record().schedule, 6.0, 1.0, 3)])
    with Records(path) as records:
        assert [price.median_ns for price in records.prices([relu()], KEY)] == [6.0]


def test_several_threads_lose_nothing(tmp_path: Path) -> None:
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


def test_a_changed_row_is_named_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Records(path) as records:
        records.add_all([record("good"), record("bad")])
    spoil(path, "bad")
    with Records(path) as records:
        assert records.rows() == [record("good")]
        assert len(records.damaged) == 1
        assert records.damaged[0].startswith("bad ")
        assert records.check() == ['record: bad {"template": "elementwise/1", "vectors": 1}']


def test_a_changed_origin_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Records(path) as records:
        records.add(replace(record(), origin=json.dumps({"note": "theirs"})))
        connection = sqlite3.connect(path)
        connection.execute("UPDATE measurement SET origin = ''")
        connection.commit()
        connection.close()
        assert records.rows() == []
        assert len(records.check()) == 1


def test_what_is_no_database_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(b"not a database, but long enough to be looked at " * 50)
    with pytest.raises(RecordsProblem, match="--records"):
        Records(path)


def test_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=9")
    connection.commit()
    connection.close()
    content = path.read_bytes()
    with pytest.raises(RecordsProblem, match="version 9"):
        Records(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("version", [0, 2])
def test_the_database_of_another_program_is_left_alone(tmp_path: Path, version: int) -> None:
    path = tmp_path / "app.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE users (name TEXT)")
    connection.execute(f"PRAGMA user_version={version}")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(RecordsProblem, match="database of another program"):
        Records(path)
    with pytest.raises(RecordsProblem, match="no records database"):
        salvage(path)
    assert path.read_bytes() == before
