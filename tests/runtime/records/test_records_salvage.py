"""A salvage says what became of every kind of row, and neither links nor other processes go astray by it."""

from __future__ import annotations

import sqlite3
import stat
import struct
from pathlib import Path

import pytest

from compiler.codegen.schedules.template import Schedule
from runtime.records import NetworkRecord, PriceRecord, Records, RecordsProblem, connection, salvage
from runtime.records.losses import Losses, losses
from runtime.records.pages import PAGE_BYTES, images_of
from runtime.records.schema import check_version
from tests.runtime.records.rows import KEY, of_first_version, record, relu, spoil

SCHEDULE = Schedule.of("elementwise/1", {"vectors": 1})
PRICES = [PriceRecord(relu(size), KEY, SCHEDULE, 5.0, 1.0, 9, measured="now") for size in (8, 16, 32)]
NETWORKS = [NetworkRecord(KEY, (relu(size),), (SCHEDULE,), 1.0, 2.0, "now") for size in (8, 16, 32, 64)]


@pytest.fixture
def torn(tmp_path: Path) -> Path:
    """A database in which one record, one price and two networks of several were changed."""
    path = tmp_path / "r.sqlite"
    with Records(path) as records:
        records.add_all([record(relu(8)), record(relu(16))])
        records.add_prices(PRICES)
        records.add_networks(NETWORKS)
    spoil(path, relu(16))
    own = sqlite3.connect(path)
    own.execute("UPDATE price SET median_ns = '1.0' WHERE signature = ?", (relu(32),))
    own.execute("UPDATE network SET measured_ms = '0.1' WHERE kernels LIKE '%(8x%' OR kernels LIKE '%(16x%'")
    own.commit()
    own.close()
    return path


def test_what_was_kept_and_lost_is_counted_by_kind(torn: Path) -> None:
    saved = salvage(torn)
    assert saved.kept == {"record": 1, "price": 2, "network": 2}
    assert saved.lost == {"record": 1, "price": 1, "network": 2}
    with Records(torn) as records:
        assert records.check() == []
        assert records.prices() == sorted(PRICES[:2], key=lambda each: each.signature)
        assert len(records.networks()) == 2


def test_what_was_lost_is_named(torn: Path) -> None:
    saved = salvage(torn)
    assert [name.partition(":")[0] for name in saved.damaged] == ["network", "network", "price", "record"]
    assert saved.damaged[2] == f"price: {relu(32)} {SCHEDULE.text} company"
    assert (saved.besides.rows, saved.besides.pages, saved.besides.known) == (0, 0, True)


def test_a_row_with_bytes_that_are_no_text_is_named(torn: Path) -> None:
    torn.write_bytes(torn.read_bytes().replace(relu(8).encode(), b"\xff" + relu(8).encode()[1:]))
    saved = salvage(torn)
    assert saved.lost["record"] == 2
    assert any(relu(8)[1:] in name for name in saved.damaged)


def test_a_row_that_cannot_be_made_out_is_counted(torn: Path) -> None:
    content = bytearray(torn.read_bytes())
    root = images_of(bytes(content)).roots()["measurement"]
    start = (root - 1) * PAGE_BYTES
    (cell,) = struct.unpack_from(">H", content, start + 8)
    content[start + cell] = 0  # the length of the row
    torn.write_bytes(content)
    saved = salvage(torn)
    assert (saved.kept["record"] + saved.lost["record"], saved.besides.rows) == (1, 1)


def test_the_rows_of_an_overwritten_page_are_estimated_by_the_others(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Records(path) as records:
        records.add_all(record(relu(size), vectors) for size in range(1, 80) for vectors in (1, 2))
        whole = len(records.rows())
    content = bytearray(path.read_bytes())
    images = images_of(bytes(content))
    assert losses(images) == Losses(0, 0, 0, True)
    (root,) = {images.roots()["measurement"]}
    first = images.children(root)[1]
    held, _ = images.counted(images.latest[first])
    content[(first - 1) * PAGE_BYTES : first * PAGE_BYTES] = b"\xff" * PAGE_BYTES
    path.write_bytes(content)
    saved = salvage(path)
    assert saved.kept["record"] == whole - held
    assert saved.besides.pages == 1
    assert 0.5 < saved.besides.rows_on_pages / held < 2


def test_without_the_beginning_of_a_file_what_was_lost_is_not_known(torn: Path) -> None:
    content = bytearray(torn.read_bytes())
    content[:PAGE_BYTES] = b"\xff" * PAGE_BYTES
    torn.write_bytes(content)
    assert not salvage(torn).besides.known


def test_a_damaged_row_of_the_first_version_is_lost_once(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    of_first_version(path, [record(relu(8)), record(relu(16))])
    spoil(path, relu(16))
    assert (salvage(path).lost["record"], len(Records(path).rows())) == (1, 1)


def test_a_check_says_of_which_kind_a_damaged_row_is(torn: Path) -> None:
    with Records(torn) as records:
        found = records.check()
    assert [finding.partition(":")[0] for finding in found] == ["record", "price", "network", "network"]
    assert found[1] == f"price: {relu(32)} {SCHEDULE.text} company"
    assert sum(relu(8) in finding for finding in found) == 1


def test_a_check_says_which_rows_lie_on_a_damaged_page(torn: Path) -> None:
    own = sqlite3.connect(torn)
    ((root,),) = own.execute("SELECT rootpage FROM sqlite_master WHERE name = 'price'")
    own.close()
    content = bytearray(torn.read_bytes())
    content[(root - 1) * PAGE_BYTES : root * PAGE_BYTES] = b"\xff" * PAGE_BYTES
    torn.write_bytes(content)
    with Records(torn) as records:
        found = records.check()
    assert any(finding.startswith("price: the rows cannot all be read") for finding in found)
    assert not any(finding.startswith(("record: the", "network: the")) for finding in found)
    assert salvage(torn).kept == {"record": 1, "price": 0, "network": 2}


def test_whoever_waited_for_a_salvage_opens_the_new_database(
    torn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    salvaged = []

    def late(opened: sqlite3.Connection) -> int:
        """What another process does between the opening of the file and the first lock on it."""
        if not salvaged:
            salvaged.append(True)
            salvaged.append(salvage(torn).aside)
        return check_version(opened)

    monkeypatch.setattr(connection, "check_version", late)
    with Records(torn) as records:
        records.add(record(relu(64)))
        assert len(records.rows()) == 2
    assert len(salvaged) == 2
    with Records(torn) as records:
        assert {row.signature for row in records.rows()} == {relu(8), relu(64)}


def test_a_link_stays_and_what_it_leads_to_is_replaced(torn: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.sqlite"
    link.symlink_to(torn)
    torn.chmod(0o640)
    saved = salvage(link)
    assert link.is_symlink()
    assert [each.name for each in link.parent.iterdir()] == ["link.sqlite"]
    assert saved.aside.parent == tmp_path
    assert stat.S_IMODE(torn.stat().st_mode) == 0o640
    with Records(torn) as records:
        assert records.check() == []


def test_a_torn_log_is_seen_behind_a_link(torn: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.sqlite"
    link.symlink_to(torn)
    torn.with_name(torn.name + connection.LOG).write_bytes(b"no log of SQLite" * 10)
    with pytest.raises(RecordsProblem, match="the write-ahead log is damaged"):
        Records(link)


def test_what_another_salvage_made_is_left_alone(torn: Path) -> None:
    judged = torn.stat()
    salvage(torn)
    before = torn.read_bytes()
    with pytest.raises(RecordsProblem, match="another process has replaced the records meanwhile"):
        salvage(torn, judged)
    assert torn.read_bytes() == before


def test_a_busy_database_is_said_to_be_in_use(torn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUSY_WAIT_S", 0.0)
    with Records(torn) as records:
        own = sqlite3.connect(torn, isolation_level=None)
        own.execute("BEGIN IMMEDIATE")
        with pytest.raises(RecordsProblem, match="another process is using the records") as busy:
            records.add(record(relu(64)))
        own.close()
    assert "cannot be used" not in str(busy.value)
