"""Packs: records as JSON lines for somebody else, with where they came from; read as from a stranger.

The first line is a header: schema, number of records, provenances, a checksum of all that follows. Then one
record a line with its own hash, and which provenance it is of. Neither a machine nor a person is named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as program_version
from pathlib import Path
from typing import Any

from compiler.codegen.schedules.template import Schedule
from compiler.codegen.tvm_api import version as tvm_version
from dsl.suggest import counted
from runtime.device import processor_name
from runtime.edited import Unreadable, read_text
from runtime.files import json_kind
from runtime.records.bounds import check_schedule, check_signature
from runtime.records.problems import RecordsProblem
from runtime.records.record import DIED, FAILED, Key, Record, content_hash, newest, now

PACK_SCHEMA = "onepath.records/2"
PACK_FILE = json_kind("a pack of records", PACK_SCHEMA)
"""Packs as files that commands write."""
PACK_CAP_BYTES = 256 << 20
LINE_CAP = 64 << 10
"""The most characters of a line."""
HEADER_CAP = 4 << 20
"""The most characters of the first line: thousands of provenances."""
NOTE_CAP = 200
PARAMETER_CAP = 1 << 31
"""Parameters of a schedule are smaller than this in magnitude."""
TIME_CAP_NS = 1 << 40
"""Times are smaller than this: 18 minutes."""
CLOCKS_DIFFER = timedelta(days=1)
"""A record of a later moment would stand against all that is measured until then."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where records came from: the program's and TVM's version, the processor's name, when, and a note."""

    program: str
    tvm: str
    processor: str
    exported: str
    note: str = ""

    @property
    def text(self) -> str:
        """What the database keeps as the origin of a record."""
        return json.dumps(asdict(self), sort_keys=True)


def provenance_of(origin: str) -> Provenance | None:
    """The provenance in the origin of a record; None where it was measured here, or the text is none."""
    try:
        return _read_provenance(json.loads(origin)) if origin else None
    except ValueError:
        return None


def here(note: str = "") -> Provenance:
    """The provenance of what was measured here.

    Raises:
        RecordsProblem: the note is too long, or does not stand on one line.
    """
    if len(note) > NOTE_CAP or not note.isprintable():
        raise RecordsProblem(f"a note is one line of at most {NOTE_CAP} characters")
    return Provenance(program_version("onepath"), tvm_version(), processor_name(), now(), note)


def write_pack(records: Iterable[Record], note: str = "") -> str:
    """The newest of the records of each schedule as a pack; those that were imported keep their provenance.

    Raises:
        RecordsProblem: the note cannot be used.
    """
    own = here(note).text
    records = [replace(record, origin=record.origin or own) for record in newest(records)]
    origins = sorted({record.origin for record in records})
    lines = [json.dumps(_fields(record, origins.index(record.origin))) + "\n" for record in records]
    provenance = [json.loads(origin) for origin in origins]
    header = {
        "schema": PACK_SCHEMA,
        "records": len(records),
        "provenance": provenance,
        "checksum": _checksum(provenance, lines),
    }
    return json.dumps(header) + "\n" + "".join(lines)


def _fields(record: Record, origin: int) -> dict[str, Any]:
    return {
        "kernel": record.signature,
        "target": record.key.target,
        "tvm": record.key.tvm,
        "processor": record.key.processor,
        "schedule": json.loads(record.schedule.text),
        "status": record.status,
        "times_ns": record.times_ns,
        "measured": record.measured,
        "origin": origin,
        "hash": content_hash(record),
    }


def _checksum(provenance: object, lines: Sequence[str]) -> str:
    digest = hashlib.sha256(json.dumps(provenance, sort_keys=True).encode())
    for line in lines:
        digest.update(line.strip().encode())
    return "sha256:" + digest.hexdigest()


def merge(packs: Iterable[Iterable[Record]]) -> list[Record]:
    """The newest record of each schedule of several packs; the order of the packs makes no difference."""
    return newest(record for pack in packs for record in pack)


def load_pack(path: Path) -> list[Record]:
    """The records of a file.

    Raises:
        OSError: it cannot be read.
        RecordsProblem: it is larger than `PACK_CAP_BYTES`, or no whole pack; the message names the line.
    """
    try:
        return read_pack(read_text(path, PACK_CAP_BYTES, "a pack of records"), str(path))
    except Unreadable as problem:
        raise RecordsProblem(str(problem)) from None


def read_pack(text: str, name: str = "records") -> list[Record]:
    """The records of a pack, their origin its provenance.

    Raises:
        RecordsProblem: it is no pack, is torn, or a line was changed or cannot be; the message names the line.
    """
    first, *lines = text.splitlines() or [""]
    header = _read_header(first, name)
    records = []
    for number, line in enumerate(lines, 2):
        try:
            records.append(_read_line(line, header["provenance"]))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as found:
            raise RecordsProblem(
                f"{name}:{number}: the record is damaged ({_reason(found)}); ask for the pack again"
            ) from None
    if len(records) != header["records"]:
        raise RecordsProblem(
            f"{name}: the pack is torn: {len(records)} of {counted(header['records'], 'record')}"
        )
    if _checksum(header["provenance"], lines) != header["checksum"]:
        raise RecordsProblem(
            f"{name}:1: the pack was changed: its checksum does not fit; ask for the pack again"
        )
    return records


def _reason(problem: Exception) -> str:
    if isinstance(problem, json.JSONDecodeError):
        return "no JSON"
    if isinstance(problem, KeyError):
        return f"`{problem.args[0]}` is missing"
    return "brackets nested too deep" if isinstance(problem, RecursionError) else str(problem)[:200]


def _read_header(line: str, name: str) -> dict[str, Any]:
    constants: list[str] = []
    try:
        found = json.loads(line[:HEADER_CAP], parse_constant=constants.append)
    except (ValueError, RecursionError):
        found = None
    header = found if isinstance(found, dict) else {}
    if header.get("schema") != PACK_SCHEMA:
        raise RecordsProblem(f"{name}:1: {_other_schema(header.get('schema'))}")
    try:
        if constants:
            raise ValueError(f"{constants[0]} is no number of JSON")
        return _checked_header(header)
    except (KeyError, ValueError) as problem:
        raise RecordsProblem(
            f"{name}:1: the header is damaged ({_reason(problem)}); ask for the pack again"
        ) from None


def _checked_header(header: dict[str, Any]) -> dict[str, Any]:
    """The fields of a header that are used, each of its type and in its range."""
    records, provenance, checksum = (header[field] for field in ("records", "provenance", "checksum"))
    if not isinstance(provenance, list):
        raise ValueError("the provenances are no list")
    for each in provenance:
        _read_provenance(each)
    if not isinstance(checksum, str):
        raise ValueError("the checksum is no text")
    count = _integer(records, PACK_CAP_BYTES, "the number of records")
    return {"records": count, "provenance": provenance, "checksum": checksum}


def _other_schema(schema: object) -> str:
    kind, _, version = PACK_SCHEMA.partition("/")
    if isinstance(schema, str) and schema.startswith(f"{kind}/") and schema.isprintable():
        return (
            f"the pack is of version {schema[len(kind) + 1 :][:20]}, and this program reads version {version};"
            " have it exported by the version of onepath that you use"
        )
    return f"the first line does not state schema {PACK_SCHEMA!r}: this is no pack of records"


def _read_provenance(fields: object) -> Provenance:
    if not isinstance(fields, dict) or not all(
        isinstance(value, str) and len(value) <= NOTE_CAP and value.isprintable() for value in fields.values()
    ):
        raise ValueError("a provenance is short texts by name")
    try:
        return Provenance(**fields)
    except TypeError:
        raise ValueError("a provenance has other fields") from None


def _read_line(line: str, provenance: Sequence[object]) -> Record:
    if len(line) > LINE_CAP:
        raise ValueError(f"longer than {LINE_CAP} characters")
    fields = json.loads(line)
    if not isinstance(fields, dict):
        raise ValueError("no JSON object")
    origin = provenance[_integer(fields["origin"], len(provenance), "origin")]
    record = Record(
        _text(fields, "kernel"),
        Key(_text(fields, "target"), _text(fields, "tvm"), _text(fields, "processor")),
        _schedule(fields["schedule"]),
        tuple(_integer(time, TIME_CAP_NS, "a time") for time in fields["times_ns"]),
        _text(fields, "status"),
        _text(fields, "measured"),
        json.dumps(origin, sort_keys=True),
    )
    if content_hash(record) != fields["hash"]:
        raise ValueError("its hash does not fit")
    _check(record)
    return record


def _check(record: Record) -> None:
    """Refuse what no tuner writes, however well it is hashed."""
    check_signature(record.signature)
    check_schedule(record.signature, record.schedule, record.key)
    moment = datetime.fromisoformat(record.measured)
    if moment.tzinfo is None:
        raise ValueError("the moment has no time zone")
    if moment > datetime.now(UTC) + CLOCKS_DIFFER:
        raise ValueError(f"it was measured in the future: {record.measured}")
    failed = record.status.startswith((FAILED, DIED))
    if not (failed or record.status == "ok") or failed == bool(record.times_ns):
        raise ValueError("it has neither times nor a reason why not")
    if any(time < 1 for time in record.times_ns):
        raise ValueError("a time is not positive")


def _schedule(fields: object) -> Schedule:
    if not isinstance(fields, dict) or not all(map(str.isprintable, fields)):
        raise ValueError("a schedule is an object with printable names")
    template = _text(fields, "template")
    parameters = {
        name: _integer(value, PARAMETER_CAP, f"`{name}`", -PARAMETER_CAP + 1)
        for name, value in fields.items()
        if name != "template"
    }
    return Schedule.of(template, parameters)


def _text(fields: dict[str, Any], name: str) -> str:
    if not isinstance(fields[name], str) or not fields[name].isprintable():
        raise ValueError(f"`{name}` is no printable text")
    return str(fields[name])


def _integer(value: object, end: int, what: str, least: int = 0) -> int:
    if type(value) is not int or not least <= value < end:
        raise ValueError(f"{what} is no integer from {least} to {end - 1}")
    return value
