"""Tuning of a kernel begins with what is best for kernels of near shapes, after the first defaults."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from compiler.codegen.schedules import candidates
from compiler.codegen.schedules.template import Schedule
from compiler.kernel import Kernel
from compiler.target import Target
from runtime import tune
from runtime.budget import Budget
from runtime.console import Silent
from runtime.records import FAILED, Key, Neighbours, Record, Records, key_of
from runtime.records.near import DEFAULTS
from tests.compiler.codegen.reference import conv, depthwise
from tests.runtime.records.rows import ELSEWHERE

pytestmark = pytest.mark.tvm
TARGET = Target("tests", "x86-64-v3", "x86_64-unknown-linux-gnu", vector_bits=256)


def wide(channels: int) -> Kernel:
    """A convolution of one pixel windows to so many channels."""
    return conv((32, 14, 14), channels, 1, "relu6")


def measured(kernel: Kernel, ranked: Iterable[Schedule], key: Key | None = None) -> list[Record]:
    """Records of a kernel's schedules, fastest first."""
    key = key or key_of(TARGET)
    return [
        Record(kernel.signature, key, schedule, (1000 + place,), measured="2026-01-01T00:00:00+00:00")
        for place, schedule in enumerate(ranked)
    ]


def tasks(kernel: Kernel, records: Records, trials: int) -> list[Schedule]:
    """What the tuner would try of a kernel, in this order."""
    run = tune._Run(
        {kernel.signature: kernel}, TARGET, records, trials, {}, 0, Budget(), 1.0, 0, 0.0, Silent()
    )
    return run.tasks[0].waiting


def test_nearest_first_and_the_best_of_each_before_the_second(tmp_path: Path) -> None:
    near, far, this = wide(96), wide(384), wide(64)
    pool = candidates(this, TARGET)
    with Records(tmp_path / "r.sqlite") as records:
        records.add_all(
            measured(far, [pool[1], pool[2], pool[3]]) + measured(near, [pool[4], pool[1], pool[5]])
        )
        records.add_all(measured(this, [pool[6]]))
        found = Neighbours(records, key_of(TARGET)).near(this)
    assert found == [pool[4], pool[1], pool[2], pool[5], pool[3]]


def test_other_kinds_of_kernels_failures_and_other_keys_are_no_neighbours(tmp_path: Path) -> None:
    this = wide(64)
    pool = candidates(this, TARGET)
    other = depthwise((32, 14, 14), 3, "relu6")
    failed = Record(wide(96).signature, key_of(TARGET), pool[0], (), f"{FAILED}no")
    with Records(tmp_path / "r.sqlite") as records:
        records.add_all([*measured(other, candidates(other, TARGET)[:3]), failed])
        records.add_all(measured(wide(128), pool[:3], ELSEWHERE))
        records.add_all(measured(wide(48), [Schedule.of("gone/1", {"vectors": 1})]))
        assert Neighbours(records, key_of(TARGET)).near(this) == []


def test_the_tuner_tries_defaults_then_what_is_near_then_the_rest(tmp_path: Path) -> None:
    this, pool = wide(64), candidates(wide(64), TARGET)
    foreign = Schedule.of(pool[0].template, {name: 10_000 for name, _ in pool[0].parameters})
    with Records(tmp_path / "r.sqlite") as records:
        assert tasks(this, records, 8) == pool[:8]
        records.add_all(measured(wide(96), [pool[20], foreign, pool[1], pool[30]]))
        seeded = [*pool[:DEFAULTS], pool[20], pool[30], *pool[DEFAULTS:]]
        assert tasks(this, records, 8) == seeded[:8]
        assert tasks(this, records, 2) == pool[:2]


def test_trials_count_what_was_tried_whatever_the_order_was_then(tmp_path: Path) -> None:
    this, pool = wide(64), candidates(wide(64), TARGET)
    with Records(tmp_path / "r.sqlite") as records:
        records.add_all(measured(this, pool[:8]))
        records.add_all(measured(wide(96), [pool[20]]))
        assert tasks(this, records, 8) == []
        assert tasks(this, records, 10) == [pool[20], pool[8]]
