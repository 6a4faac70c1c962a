"""Tables of blocks read back equal; what is wrong with one is named, each entry of it."""

from __future__ import annotations

from typing import Any

import pytest

from compiler.latency import TableProblem
from compiler.tables.block import read_block
from compiler.tables.block_table import SCHEMA, BlockTable, Time, from_payload, to_payload
from compiler.tables.proxylessnas import block_of_key

TEXT = "f32 nhwc (8x8x8) relu(%0)"
KEY = "Conv_1-input:7x7x320-output:7x7x1280"
TABLE = BlockTable(
    "a phone", {read_block(TEXT): Time(0.5), block_of_key(KEY): Time(2.0, 10, 0.25)}, "by hand"
)


def document(entries: Any, **others: Any) -> dict[str, Any]:
    return {"schema": SCHEMA, "device": "a phone", "entries": entries, **others}


def test_reads_back_equal() -> None:
    assert from_payload({"schema": SCHEMA, **to_payload(TABLE)}) == TABLE
    assert to_payload(TABLE)["entries"][TEXT] == {"mean_ms": 0.5}


def test_blocks_are_named_as_people_know_them() -> None:
    assert [(name, time.mean_ms) for name, _, time in TABLE.rows] == [(KEY, 2.0), (TEXT, 0.5)]


ENTRY = {"mean_ms": 1.0}
WRONG = {
    "no object": ([], "Expected `object`"),
    "no entries": ({"schema": SCHEMA, "device": "x"}, "missing required field `entries`"),
    "an unknown field": (document({}, unit="ms"), "unknown field `unit`"),
    "entries in a list": (document([ENTRY]), r"entries"),
    "no time": (document({TEXT: {}}), f"entry `{TEXT[:9]}.*missing required field `mean_ms`"),
    "another unit": (document({TEXT: {"mean_us": 1}}), "unknown field `mean_us`"),
    "a negative time": (document({TEXT: {"mean_ms": -1.0}}), "Expected `float` >= 0.0"),
    "an infinite time": (document({TEXT: {"mean_ms": float("inf")}}), "must be finite"),
    "no number": (document({TEXT: {"mean_ms": "fast"}}), "Expected `float`, got `str`"),
    "no runs": (document({TEXT: {"mean_ms": 1.0, "count": 0}}), "Expected `int` >= 1"),
    "a key of elsewhere": (document({KEY: ENTRY}), f"entry `{KEY}`: a block is not written like that"),
    "one block twice": (
        document(
            {"f32 nhwc (8x8x8) relu(%0); add(%0, %1)": ENTRY, "f32 nhwc (8x8x8) relu(%0); add(%1, %0)": ENTRY}
        ),
        "stands twice",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_table(name: str) -> None:
    payload, message = WRONG[name]
    with pytest.raises(TableProblem, match=message):
        from_payload(payload)


def test_all_wrong_entries_are_named_up_to_a_number() -> None:
    with pytest.raises(TableProblem) as caught:
        from_payload(document({f"block {index}": ENTRY for index in range(30)}))
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert lines[-1].strip() == "and 10 more"
