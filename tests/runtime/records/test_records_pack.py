"""A pack gives records to others with where they came from; one from a stranger is taken whole, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compiler.codegen.schedules import candidates
from compiler.codegen.schedules.template import Schedule
from runtime.device import host
from runtime.records import (
    FAILED,
    Key,
    Record,
    RecordsProblem,
    key_of,
    load_pack,
    merge,
    pack,
    read_pack,
    write_pack,
)
from runtime.records.bounds import LOOSE
from runtime.records.pack import provenance_of
from tests.compiler.codegen.reference import conv
from tests.runtime.records.rows import ELSEWHERE, KEY, record, relu

DENSE = conv((32, 14, 14), 64, 1, "relu6")
RELU = record().schedule


def test_a_pack_says_the_same_to_whoever_reads_it() -> None:
    rows = [
        record(),
        record(vectors=2, key=ELSEWHERE),
        Record(relu(9), KEY, RELU, (), f"{FAILED}no", "2026-01-01T00:00+00:00"),
    ]
    text = write_pack(rows, "from the lab")
    read = read_pack(text)
    assert set(read) == set(rows)
    assert {provenance_of(row.origin).note for row in read} == {"from the lab"}  # type: ignore[union-attr]
    assert all(row.origin for row in read)
    assert write_pack(read, "another note") == text
    assert write_pack(reversed(read)) == text


def test_a_record_keeps_its_first_provenance_however_often_it_is_passed_on() -> None:
    (theirs,) = read_pack(write_pack([record()], "theirs"))
    both = read_pack(write_pack([theirs, record(vectors=2)], "ours"))
    assert [provenance_of(row.origin).note for row in both] == ["theirs", "ours"]  # type: ignore[union-attr]


def test_a_merge_keeps_the_newest_in_whatever_order() -> None:
    one = [record(day=1), record(vectors=2, day=5)]
    other = [record(day=3, times=(7,)), record(vectors=2, day=4), record(vectors=3)]
    assert merge([one, other]) == merge([other, one]) == [other[0], one[1], other[2]]


def test_a_pack_names_neither_machine_nor_person() -> None:
    text = write_pack([record()])
    for private in (Path.home().name, __import__("socket").gethostname()):
        assert f'"{private}"' not in text
    assert not any(str(folder) in text for folder in (Path.home(), Path.cwd()))


HERE = key_of(host())
GOOD = dict(candidates(DENSE, host())[0].parameters)


def dense(key: Key = HERE, **changes: int) -> Record:
    """A record of a convolution, with other parameters than the default ones."""
    return Record(
        DENSE.signature,
        key,
        Schedule.of("dense/1", {**GOOD, **changes}),
        (5,),
        "ok",
        "2026-01-01T00:00:00+00:00",
    )


def signed(signature: str) -> Record:
    """A record of a kernel that is spelled so."""
    return replace(record(), signature=signature)


UNSOUND: dict[str, tuple[Record, str]] = {
    "a time of nothing": (record(times=(5, 0)), "a time is not positive"),
    "a time in the past": (record(times=(-5,)), "a time is no integer"),
    "a time of days": (record(times=(1 << 40,)), "a time is no integer"),
    "no number": (record(times=(float("nan"),)), "a time is no integer"),  # type: ignore[arg-type]
    "without end": (record(times=(float("inf"),)), "a time is no integer"),  # type: ignore[arg-type]
    "half a nanosecond": (record(times=(1.5,)), "a time is no integer"),  # type: ignore[arg-type]
    "a truth": (record(times=(True,)), "a time is no integer"),
    "no times": (record(times=()), "neither times nor a reason"),
    "times of a failure": (replace(record(), status=f"{FAILED}no"), "neither times nor a reason"),
    "an unknown status": (replace(record(), status="great"), "neither times nor a reason"),
    "no moment": (replace(record(), measured="yesterday"), "Invalid isoformat string"),
    "no time zone": (replace(record(), measured="2026-01-01T00:00:00"), "no time zone"),
    "the future": (replace(record(), measured="2999-01-01T00:00:00+00:00"), "in the future"),
    "no kernel": (signed("nonsense"), "not a kernel signature"),
    "a kernel spelled otherwise": (signed("f32 nhwc (08x4x4) relu(%0)"), "not canonical"),
    "a number without end": (signed("f32 nhwc (8x4x4) leaky_relu(%0, slope=1e999999999)"), "beyond reason"),
    "a division by zero": (signed("f32 nhwc (8x4x4) leaky_relu(%0, slope=1/0)"), "beyond reason"),
    "an empty tensor": (signed("f32 nhwc (0x4x4) relu(%0)"), "beyond reason"),
    "a long row": (signed("f32 nhwc (8x1x9999999) relu(%0)"), "beyond reason"),
    "an endless tensor": (signed("f32 nhwc (8x99999999x4) relu(%0)"), "beyond reason"),
    "a bell": (signed(relu() + "\a"), "no printable text"),
    "a parameter beyond its range": (dense(vectors=1000), r"`vectors` is 1000, and 1 to \d+ for this kernel"),
    "a parameter below its range": (dense(pixels=0), "`pixels` is 0, and 1 to"),
    "a parameter too many": (dense(speed=9), "dense/1 has the parameters ahead, order, pixels, split"),
    "a wild parameter of elsewhere": (dense(ELSEWHERE, vectors=LOOSE[1] + 1), "`vectors` is"),
    "no parameters": (replace(dense(), schedule=Schedule.of("dense/1", {})), "dense/1 has the parameters"),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_what_no_tuner_writes_is_refused_however_well_it_is_hashed(name: str) -> None:
    unsound, reason = UNSOUND[name]
    text = write_pack([record(relu(1)), unsound, record(relu(9))])
    with pytest.raises(RecordsProblem, match=rf"theirs:\d: the record is damaged \(.*{reason}"):
        read_pack(text, "theirs")


def test_what_this_version_does_not_know_is_kept_for_those_who_do() -> None:
    later = [
        replace(dense(), schedule=Schedule.of("dense/9", {"anything": 1})),
        signed("f32 nhwc (8x4x4) operator_of_tomorrow(%0, mood=7)"),
        replace(dense(), key=replace(HERE, target='{"kind": "npu"}')),
        dense(),
        dense(ELSEWHERE),
    ]
    assert set(read_pack(write_pack(later))) == set(later)


def header(**changes: object) -> Callable[[list[str]], list[str]]:
    """Lines with other fields in the first."""
    return lambda lines: [json.dumps({**json.loads(lines[0]), **changes}), *lines[1:]]


def second(change: Callable[[dict[str, Any]], object]) -> Callable[[list[str]], list[str]]:
    """Lines whose second was changed without a new hash."""

    def changed(lines: list[str]) -> list[str]:
        fields = json.loads(lines[1])
        change(fields)
        return [lines[0], json.dumps(fields), *lines[2:]]

    return changed


DAMAGE: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "nothing at all": (lambda lines: [], "theirs:1: .* is no pack"),
    "no header": (lambda lines: lines[1:], "theirs:1: .* is no pack"),
    "a list": (lambda lines: ["[1]", *lines[1:]], "theirs:1: .* is no pack"),
    "deep brackets first": (lambda lines: ["[" * 100_000, *lines[1:]], "theirs:1: .* is no pack"),
    "an older version": (
        header(schema="onepath.records/1"),
        "of version 1, .* reads version 2; have it exported",
    ),
    "a later version": (
        header(schema="onepath.records/3"),
        "of version 3, .* reads version 2; have it exported",
    ),
    "no provenance": (header(provenance=None), "theirs:1: the header is damaged"),
    "a hostile provenance": (header(provenance=[{"note": "\x1b[2J"}]), "theirs:1: the header is damaged"),
    "provenances by name": (header(provenance={}), "theirs:1: the header is damaged .*no list"),
    "a count that is none": (
        header(records=float("nan")),
        r"theirs:1: the header is damaged \(NaN is no number",
    ),
    "a count without end": (
        header(records=float("-inf")),
        r"theirs:1: the header is damaged \(-Infinity is no number of JSON\); ask for the pack again",
    ),
    "a NaN beside what is used": (header(more=[float("nan")]), "theirs:1: .*NaN is no number"),
    "a count of many digits": (
        header(records=10**4000),
        "theirs:1: .*the number of records is no integer from",
    ),
    "a negative count": (header(records=-1), "theirs:1: .*the number of records is no integer from"),
    "a count in words": (header(records="three"), "theirs:1: .*the number of records is no integer from"),
    "a checksum of nothing": (header(checksum=None), "theirs:1: the header is damaged .*checksum is no text"),
    "an endless provenance": (header(provenance=[{"note": "x" * 1000}]), "theirs:1: the header is damaged"),
    "another provenance": (
        header(provenance=[dict.fromkeys(("program", "tvm", "processor", "exported", "note"), "x")]),
        "theirs:1: the pack was changed",
    ),
    "an end that is missing": (lambda lines: lines[:-1], "the pack is torn: 2 of 3"),
    "a line that is missing": (lambda lines: [lines[0], *lines[2:]], "the pack is torn: 2 of 3"),
    "a line that stands twice": (lambda lines: [*lines, lines[-1]], "the pack is torn: 4 of 3"),
    "another order": (
        lambda lines: [lines[0], lines[2], lines[1], lines[3]],
        "theirs:1: the pack was changed",
    ),
    "half a line": (lambda lines: [*lines[:-1], lines[-1][:50]], r"theirs:4: .* \(no JSON\)"),
    "a long line": (lambda lines: [*lines, "x" * (pack.LINE_CAP + 1)], "theirs:5: .*longer than"),
    "deep brackets": (lambda lines: [lines[0], "[" * 60_000], "theirs:2: .*(nested too deep|no JSON)"),
    "a line of nothing": (lambda lines: [lines[0], "", *lines[1:]], r"theirs:2: .* \(no JSON\)"),
    "a changed time": (second(lambda fields: fields.update(times_ns=[1])), "theirs:2: .*hash does not fit"),
    "a missing field": (second(lambda fields: fields.pop("status")), "theirs:2: .*`status` is missing"),
    "another origin": (second(lambda fields: fields.update(origin=7)), "theirs:2: .*origin is no integer"),
    "a list of lists": (second(lambda fields: fields.update(times_ns=[[1]])), "theirs:2: .*no integer"),
    "no list": (second(lambda fields: fields.update(times_ns=1)), "theirs:2: .*not iterable"),
    "names with bells": (
        second(lambda fields: fields.update(schedule={"\a": 1})),
        "theirs:2: .*printable names",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_pack_is_refused_with_the_line(name: str) -> None:
    change, reason = DAMAGE[name]
    lines = write_pack([record(vectors=vectors) for vectors in (1, 2, 3)]).splitlines()
    with pytest.raises(RecordsProblem, match=reason) as refused:
        read_pack("\n".join(change(lines)) + "\n", "theirs")
    assert len(str(refused.value)) < 400


def test_no_flipped_bit_goes_unseen() -> None:
    whole = write_pack([record()])
    text = whole.encode()
    for place in range(0, len(text), 3):
        torn = bytearray(text)
        torn[place] ^= 1 << place % 7
        read = torn.decode(errors="replace")
        try:
            found = read_pack(read)
        except RecordsProblem:
            continue
        assert write_pack(found) == whole


def test_a_file_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "PACK_CAP_BYTES", 1 << 20)
    path = tmp_path / "theirs.jsonl"
    path.write_text(write_pack([record()]) + " " * (1 << 20))
    with pytest.raises(RecordsProblem, match=r"theirs.jsonl: a pack of records has at most 1 MiB"):
        load_pack(path)
    path.write_bytes(b"\xff\xfe" * 100)
    with pytest.raises(RecordsProblem, match="is not UTF-8"):
        load_pack(path)


@pytest.mark.parametrize("note", ["x" * 201, "two\nlines"])
def test_a_note_is_a_line(note: str) -> None:
    with pytest.raises(RecordsProblem, match="a note is one line of at most 200 characters"):
        write_pack([record()], note)
