"""What is kept: schedules with their times, prices of schedules in company, whole networks measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from statistics import median

from compiler.codegen.schedules.template import Schedule
from compiler.codegen.tvm_api import version
from compiler.target import Target
from runtime.device import fingerprint

FAILED, DIED = "failed: ", "died: "
"""How the status of a schedule begins that cannot be used; one whose worker died or was late is tried once more."""
ANY_DEVICE = " @*"
"""How the processor of a key ends that means all devices of one kind; one of them ends with ` @` and its name."""
COMPANY = "company"
"""The context of a price that was taken in the company of other kernels."""


@dataclass(frozen=True, slots=True)
class Key:
    """Where a record holds: the target's key, TVM's version, the processor's fingerprint.

    A remote device's fingerprint has its name, too; with `ANY_DEVICE` instead, a key is that of all of its kind.
    """

    target: str
    tvm: str
    processor: str

    @property
    def kind(self) -> str | None:
        """What the processors of all devices begin with that the key means; None where it is of one processor."""
        return self.processor.removesuffix("*") if self.processor.endswith(ANY_DEVICE) else None


@dataclass(frozen=True, slots=True)
class Record:
    """One schedule of one kernel: its times in nanoseconds, or why it has none.

    `status` is "ok", or `FAILED` or `DIED` with the reason; `measured` is the moment, ISO 8601 in UTC.
    `origin` says where it came from, as `Provenance.text` does; "" is this database.
    """

    signature: str
    key: Key
    schedule: Schedule
    times_ns: tuple[int, ...]
    status: str = "ok"
    measured: str = ""
    origin: str = field(default="", compare=False)

    @property
    def median_ns(self) -> float:
        """The median time; infinite where nothing was measured."""
        return float(median(self.times_ns)) if self.status == "ok" and self.times_ns else float("inf")

    @property
    def identity(self) -> tuple[Key, str, Schedule]:
        """What there is one record of."""
        return self.key, self.signature, self.schedule

    @property
    def recency(self) -> tuple[datetime, int, str]:
        """Of two records of one identity the greater stands; at the same moment, the one of more runs."""
        moment = datetime.min
        with suppress(ValueError):
            moment = datetime.fromisoformat(self.measured)
        return moment.replace(tzinfo=moment.tzinfo or UTC), len(self.times_ns), content_hash(self)


@dataclass(frozen=True, slots=True)
class PriceRecord:
    """The price of a schedule: the median of means of its times in nanoseconds among others, and p90 over that.

    `context` says among what; `company` is how many kernels a network had that it was priced for. `load`,
    `steal` and `noise` are the machine's load average, stolen time and spread of a known kernel then.
    """

    signature: str
    key: Key
    schedule: Schedule
    median_ns: float
    spread: float
    company: int
    load: float = 0.0
    steal: float = 0.0
    noise: float = 1.0
    context: str = COMPANY
    measured: str = ""


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """A network measured whole: its kernels' signatures in the order of the calls, and their schedules.

    `kernels_ms` is the sum of the kernels' prices when it was measured, `measured_ms` its median time.
    """

    key: Key
    kernels: tuple[str, ...]
    schedules: tuple[Schedule, ...]
    kernels_ms: float
    measured_ms: float
    measured: str = ""


def key_of(target: Target, processor: str | None = None) -> Key:
    """The key of records made for the target on this machine, or on another processor."""
    return Key(target.key, version(), processor or fingerprint())


def of_kind(records: Iterable[Record], key: Key) -> list[Record]:
    """The records of several devices as those of one: of each schedule the fastest, or why it failed everywhere."""
    if key.kind is None:
        return list(records)
    found: dict[tuple[str, Schedule], Record] = {}
    for record in records:
        held = found.get((record.signature, record.schedule))
        if held is None or record.median_ns < held.median_ns:
            found[record.signature, record.schedule] = replace(record, key=key)
    return list(found.values())


def now() -> str:
    """This moment as records state it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def content(record: Record) -> tuple[str, ...]:
    """A record as texts, whatever its origin."""
    key, times = record.key, json.dumps(list(record.times_ns), separators=(",", ":"))
    identity = (record.signature, key.target, key.tvm, key.processor, record.schedule.text)
    return (*identity, record.status, times, record.measured)


def text_hash(texts: Sequence[str]) -> str:
    """The hash of a row of texts."""
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()[:32]


def content_hash(record: Record) -> str:
    """The hash of a record, whatever its origin."""
    return text_hash(content(record))


def best_of(records: Iterable[Record]) -> dict[str, Record]:
    """The fastest record of every kernel that has a valid one; equal times go by the schedule's text."""
    best: dict[str, Record] = {}
    for record in records:
        held = best.get(record.signature)
        rank = (record.median_ns, record.schedule.text)
        if record.median_ns < float("inf") and (held is None or rank < (held.median_ns, held.schedule.text)):
            best[record.signature] = record
    return best


def fastest(records: Iterable[Record], count: int) -> list[Record]:
    """The `count` fastest valid records of every kernel under every key, kernel by kernel, fastest first."""
    valid = [record for record in records if record.median_ns < float("inf")]
    ordered = sorted(valid, key=lambda record: (*_place(record), record.median_ns, record.schedule.text))
    return [record for _, group in groupby(ordered, _place) for record in list(group)[:count]]


def newest(records: Iterable[Record]) -> list[Record]:
    """The newest record of every identity, in the order of keys, kernels and schedules."""
    found: dict[tuple[Key, str, Schedule], Record] = {}
    for record in records:
        held = found.get(record.identity)
        if held is None or record.recency > held.recency:
            found[record.identity] = record
    return sorted(found.values(), key=lambda record: (*_place(record), record.schedule.text))


def _place(record: Record) -> tuple[str, str, str, str]:
    key = record.key
    return key.target, key.tvm, key.processor, record.signature
