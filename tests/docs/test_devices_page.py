"""docs/devices.md: its commands have the options that it shows, and its numbers are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from runtime.devices import dispatch, errands, jobs
from runtime.devices.server import options, serving
from runtime.tune import MEASURE_S
from tests.docs.shown_commands import check_options

PAGE = (Path(__file__).resolve().parents[2] / "docs/devices.md").read_text(encoding="utf-8")
BLOCKS = [block.replace("\\\n", "") for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)]
LINES = [line for block in BLOCKS for line in block.splitlines()]
COMMANDS = sorted({line.split(" > ")[0] for line in LINES if line.startswith("onepath ")})
SERVERS = [line.partition("serve_device.pyz")[2] for line in LINES if "bin/python serve_device.pyz" in line]
NUMBERS = {3: "three", 6: "six", 2: "two"}


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_shown_exists_with_its_options(line: str) -> None:
    check_options(line)


def test_the_servers_of_a_board_are_started_as_shown() -> None:
    first, other = (options.arguments(shlex.split(line)) for line in SERVERS)
    assert (first.key, first.name, first.tracker, first.port) == ("pi5", "pi-left", ("127.0.0.1", 9190), 9091)
    assert other.reach == ("127.0.0.1", 9500)


def test_its_numbers_are_those_of_the_code() -> None:
    text = " ".join(PAGE.split())
    assert f"more than {errands.DRIFT} times as long" in text
    assert f"each batch of {NUMBERS[jobs.BATCH]}" in text
    assert f"after {dispatch.OVERTIME_S:g} s is given up" in text
    assert f"left alone for {errands.REST_S:g} s" in text
    assert f"After {NUMBERS[errands.STRIKES]} bad looks" in text
    assert f"when {NUMBERS[jobs.LIVES]} sessions ended" in text
    assert f"may take ({MEASURE_S:g} s)" in text
    assert f"look for it every {serving.RETRY_S:g} s" in text
    assert f"killed after {NUMBERS[int(serving.GRACE_S)]} seconds" in text
