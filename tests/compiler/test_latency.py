"""Latency tables predict, name what they lack, and read back equal."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from compiler.codegen.schedules.template import Schedule
from compiler.latency import (
    Entry,
    LatencyTable,
    MeasuredNoise,
    Model,
    Sample,
    TableProblem,
    from_payload,
    to_payload,
)
from compiler.target import Target

TARGET = Target("host", "znver4", "x86_64-unknown-linux-gnu", features=("-avx512f",))
SCHEDULE = Schedule.of("dense", {"pixels": 4})
TABLE = LatencyTable(
    TARGET.to_json(),
    "a processor",
    "0.27",
    {"a": Entry(0.5, 1.1, True, SCHEDULE.text), "b": Entry(0.25, 1.0, False, SCHEDULE.text, 500_000)},
    Model(0.125, 0.0625, 0.1, (Sample(3, 1.0, 1.25),), 0.25),
    "sha256:0",
    MeasuredNoise(0.1, 0.0, 1.0, False),
)


def test_predicts_the_sum_with_its_error() -> None:
    prediction = TABLE.predict(["a", "b", "a"])
    assert prediction.latency_ms == 0.125 + 3 * 0.0625 + 1.25 + 0.5 * 0.25
    assert prediction.error_ms == pytest.approx(0.1 * prediction.latency_ms)
    assert TABLE.prices.calls_ms == {"a": 0.5625, "b": 0.4375}
    assert TABLE.prices.constant_ms == 0.125
    assert TABLE.schedules["a"] == SCHEDULE


def test_names_a_missing_kernel() -> None:
    with pytest.raises(TableProblem, match="kernel c"):
        TABLE.predict(["a", "c"])


def test_reads_back_equal() -> None:
    assert from_payload(to_payload(TABLE)) == TABLE


@pytest.mark.parametrize(
    ("name", "value"),
    [("entries", {"a": {"median_ms": "fast"}}), ("model", None), ("blocks", {}), ("records", 3)],
)
def test_refuses_what_is_no_table(name: str, value: object) -> None:
    with pytest.raises(TableProblem, match="not a latency table"):
        from_payload({**to_payload(TABLE), name: value})


def test_refuses_impossible_times() -> None:
    entries = {"a": msgspec.structs.replace(TABLE.entries["a"], median_ms=-1.0)}
    with pytest.raises(TableProblem, match="negative"):
        from_payload(to_payload(msgspec.structs.replace(TABLE, entries=entries)))


def test_a_target_says_what_it_cannot_be() -> None:
    for change in ({"kind": "gpu"}, {"threads": 0}, {"vector_bits": 100}):
        with pytest.raises(ValueError, match="target `host`"):
            replace(TARGET, **change)
    assert TARGET.lanes == 4
    assert replace(TARGET, threads=2).key != TARGET.key == replace(TARGET, name="other").key
