"""`onepath profile` interrupted anywhere keeps what it measured, goes on from there, and measures nothing twice."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from compiler.codegen.schedules import candidates
from compiler.pricing import space_kernels
from runtime.cli.common import read_source
from runtime.device import host
from runtime.experiment import load_experiment
from runtime.latency_table import read_table
from runtime.price_kernels import PASSES
from runtime.recorded_table import table_from_records
from runtime.records import Records
from runtime.shortlist import shortlists
from tests.runtime.records.writers import PROCESSES, profile

pytestmark = [pytest.mark.tvm, pytest.mark.slow]
TRIALS = 2
SPACE = f"""
space small {{
    input [3, 24, 24]
    output [10]
    conv(16, 3, stride = 2) -> relu -> choose {{ conv(16, 1) | conv(16, 3) }} -> global_pool -> linear(10)
}}
target box {{ trials = {TRIALS} }}
"""
Rows = dict[tuple[str, str], str]
LIMIT_S = 120.0


def held(path: Path, table: str) -> Rows:
    """When each schedule was measured, as another process sees it now; for prices, each pass."""
    found: Rows = {}
    with suppress(sqlite3.OperationalError):
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        extra = "" if table == "measurement" else " || context"
        query = f"SELECT signature, schedule{extra}, measured FROM {table}"
        found = {(name, schedule): measured for name, schedule, measured in connection.execute(query)}
        connection.close()
    return found


def interrupted(folder: Path, sign: signal.Signals, table: str, count: int) -> tuple[Any, Rows, Rows]:
    """A profile that got a signal once there were so many rows: its process, the records and prices until then."""
    path = folder / "r.sqlite"
    process = PROCESSES.Process(target=profile, args=(folder,))
    process.start()
    deadline = time.monotonic() + LIMIT_S
    while len(rows := held(path, table)) < count and process.is_alive() and time.monotonic() < deadline:
        process.join(0.01)
    assert len(rows) >= count
    acknowledged = held(path, "measurement"), held(path, "price")
    os.kill(process.pid or 0, sign)
    process.join(LIMIT_S)
    return process, *acknowledged


def test_a_profile_goes_on_after_a_kill_and_an_interrupt(tmp_path: Path) -> None:
    (tmp_path / "small.space").write_text(SPACE)
    stream, path = random.Random(0), tmp_path / "r.sqlite"
    killed, tuned, _ = interrupted(tmp_path, signal.SIGKILL, "measurement", stream.randrange(1, 5))
    assert killed.exitcode == -signal.SIGKILL
    assert held(path, "measurement").items() >= tuned.items()
    stopped, more, prices = interrupted(tmp_path, signal.SIGINT, "price", stream.randrange(1, 5))
    assert stopped.exitcode == 130
    assert held(path, "measurement").items() >= more.items() >= tuned.items()
    assert held(path, "price").items() >= prices.items()
    _finish(tmp_path)
    assert held(path, "measurement").items() >= more.items()
    assert held(path, "price").items() >= prices.items()


def _finish(folder: Path) -> None:
    """Let the profile end; then the budget is spent to the trial, and the table is what the records say."""
    process = PROCESSES.Process(target=profile, args=(folder,))
    process.start()
    process.join(LIMIT_S)
    assert process.exitcode == 0
    target, source = host(name="box"), read_source(folder / "small.space")
    kernels = space_kernels(load_experiment(source).flat, target)
    with Records(folder / "r.sqlite") as records:
        assert records.check() == []
        wanted = sum(min(TRIALS, len(candidates(kernel, target))) for kernel in kernels.values())
        assert len(records.rows()) == wanted
        priced = shortlists(kernels, target, records.rows())
        assert len(records.prices()) == PASSES * sum(map(len, priced.values()))
        assert table_from_records(kernels, target, records) == read_table(folder / "out/latency/box.json")
