"""docs/records.md: its commands exist, and its numbers are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.cli import app
from runtime.price_kernels import PASSES
from runtime.records import Records
from runtime.records.near import DEFAULTS
from runtime.records.pack import LINE_CAP, PACK_CAP_BYTES, TIME_CAP_NS
from runtime.records.problems import BUSY_WAIT_S
from tests.runtime.records.rows import record

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/records.md").read_text(encoding="utf-8")
NUMBERS = {1: "one", 2: "two", 3: "three"}


def test_its_numbers_are_those_of_the_code() -> None:
    assert f"larger than\n{PACK_CAP_BYTES >> 20} MiB" in PAGE
    assert f"longer than {LINE_CAP:,} characters" in PAGE
    assert f"2^{TIME_CAP_NS.bit_length() - 1} ns" in PAGE
    assert f"up to {BUSY_WAIT_S:g} s" in PAGE
    assert f"in {NUMBERS[PASSES]} passes" in PAGE
    assert f"its {NUMBERS[DEFAULTS]} best default schedules" in PAGE


def test_its_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    with Records("records.sqlite") as records:
        records.add(record())
    monkeypatch.setattr("runtime.records.default_path", lambda: tmp_path / "records.sqlite")
    monkeypatch.setattr("runtime.records.database.default_path", lambda: tmp_path / "records.sqlite")
    monkeypatch.setattr("runtime.device.fingerprint", lambda: record().key.processor)
    CliRunner().invoke(app, ["records", "export", "theirs.jsonl"])
    block = PAGE.partition("```\n")[2].partition("```")[0]
    commands = [shlex.split(line)[1:] for line in block.splitlines()]
    answers = {command[1]: CliRunner().invoke(app, command).exit_code for command in commands}
    # Nothing is priced: the table lacks all its kernels.
    assert answers == {**dict.fromkeys(answers, 0), "table": 1}
    assert set(answers) == set(re.findall(r"^onepath records (\w+)", block, re.MULTILINE))
    assert {"list", "export", "import", "merge", "table", "check", "salvage"} == set(answers)


def test_what_it_says_of_options_is_so() -> None:
    for command in ("export", "merge", "table"):
        assert (
            "--force"
            in CliRunner().invoke(app, ["records", command, "--help"], env={"COLUMNS": "200"}).output
        )
    assert "`export`, `merge` and `table` write replaces a file only with `--force`" in PAGE
