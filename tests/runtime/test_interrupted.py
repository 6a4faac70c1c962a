"""An interrupt says what it left: measurements, if there are some, and nothing otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from runtime.cli.common import command
from runtime.interrupted import told
from runtime.profiler import kept_of
from runtime.records import Records
from tests.runtime.records.rows import record, relu


def test_the_innermost_words_are_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    @command
    def work() -> None:
        with told(lambda: "the outer"), told(lambda: "the inner"):
            raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as end:
        work()
    assert end.value.exit_code == 130
    assert capsys.readouterr().err == "onepath: interrupted; the inner\n"


def test_where_nothing_is_known_to_be_kept_nothing_is_promised(capsys: pytest.CaptureFixture[str]) -> None:
    @command
    def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit):
        work()
    assert capsys.readouterr().err == "onepath: interrupted\n"


@pytest.mark.tvm
def test_measurements_of_this_run_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Records(path) as records:
        records.add(record())
    with Records(path) as records:
        assert kept_of(records) == "nothing was measured yet by this run: the same command begins anew"
        records.add(record(relu(16)))
        assert kept_of(records) == (
            f"1 measurement of this run is kept in {path}, the same command goes on from there"
        )
        records.add_all([record(relu(32)), record(relu(64))])
        assert kept_of(records).startswith("3 measurements of this run are kept")
