"""The tables of the database: what stands in a row, and the hash that ends it.

Every column is a text, so that a row is the same wherever it is read: through SQLite, or from the pages of a
damaged file. Its hash is over all others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from compiler.codegen.schedules.template import read_schedule
from runtime.records.record import Key, NetworkRecord, PriceRecord, Record, content, text_hash

Row = TypeVar("Row")
"""What a row says: a record, a price or a network."""
_KEY = ("target", "tvm", "processor")


@dataclass(frozen=True)
class Table(Generic[Row]):
    """One kind of row: its columns as SQLite stores them, those of the primary key first; `what` is a row of it."""

    what: str
    name: str
    identity: tuple[str, ...]
    values: tuple[str, ...]
    encode: Callable[[Row], tuple[str, ...]]
    decode: Callable[[Sequence[str]], Row]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns but the hash."""
        return (*self.identity, *self.values)

    @property
    def definition(self) -> str:
        """The statement that creates the table where it is missing."""
        columns = ", ".join(f"{column} TEXT NOT NULL" for column in (*self.columns, "hash"))
        key = f"PRIMARY KEY ({', '.join(self.identity)})"
        return f"CREATE TABLE IF NOT EXISTS {self.name} ({columns}, {key}) WITHOUT ROWID"

    @property
    def insertion(self) -> str:
        """The statement that writes one row in place of another of its identity."""
        columns = (*self.columns, "hash")
        marks = ", ".join("?" * len(columns))
        return f"INSERT OR REPLACE INTO {self.name} ({', '.join(columns)}) VALUES ({marks})"

    @property
    def deletion(self) -> str:
        """The statement that removes the row of an identity."""
        return f"DELETE FROM {self.name} WHERE {' AND '.join(f'{column} = ?' for column in self.identity)}"

    @property
    def selection(self) -> str:
        """The statement that reads all rows."""
        return f"SELECT {', '.join((*self.columns, 'hash'))} FROM {self.name}"

    def row(self, value: Row) -> tuple[str, ...]:
        """A value as a row, with its hash."""
        texts = self.encode(value)
        return (*texts, text_hash(texts))

    def place(self, value: Row) -> tuple[str, ...]:
        """The identity of a value's row."""
        return self.encode(value)[: len(self.identity)]

    def read(self, row: Sequence[object]) -> Row | None:
        """The value of a row with its hash; None where it is damaged."""
        texts = [text for text in row if isinstance(text, str)]
        if not len(texts) == len(row) == len(self.columns) + 1 or text_hash(texts[:-1]) != texts[-1]:
            return None
        try:
            return self.decode(texts[:-1])
        except (ValueError, TypeError):
            return None


def _encode_measurement(record: Record) -> tuple[str, ...]:
    signature, target, tvm, processor, *rest = content(record)
    return (target, tvm, processor, signature, *rest, record.origin)


def _decode_measurement(row: Sequence[str]) -> Record:
    target, tvm, processor, signature, schedule, status, times, measured, origin = row
    key, numbers = Key(target, tvm, processor), tuple(map(int, json.loads(times)))
    return Record(signature, key, read_schedule(schedule), numbers, status, measured, origin)


def _encode_price(price: PriceRecord) -> tuple[str, ...]:
    noise = json.dumps([price.load, price.steal, price.noise])
    numbers = (repr(price.median_ns), repr(price.spread), str(price.company), noise)
    place = (*_key(price.key), price.signature, price.schedule.text, price.context)
    return (*place, *numbers, price.measured)


def _decode_price(row: Sequence[str]) -> PriceRecord:
    target, tvm, processor, signature, schedule, context, median_ns, spread, company, noise, measured = row
    load, steal, known = json.loads(noise)
    return PriceRecord(
        signature,
        Key(target, tvm, processor),
        read_schedule(schedule),
        float(median_ns),
        float(spread),
        int(company),
        float(load),
        float(steal),
        float(known),
        context,
        measured,
    )


def _encode_network(network: NetworkRecord) -> tuple[str, ...]:
    kernels = json.dumps(network.kernels)
    schedules = json.dumps([schedule.text for schedule in network.schedules])
    times = (repr(network.kernels_ms), repr(network.measured_ms))
    place = (*_key(network.key), text_hash([kernels, schedules]))
    return (*place, kernels, schedules, *times, network.measured)


def _decode_network(row: Sequence[str]) -> NetworkRecord:
    target, tvm, processor, _, kernels, schedules, kernels_ms, measured_ms, measured = row
    return NetworkRecord(
        Key(target, tvm, processor),
        tuple(json.loads(kernels)),
        tuple(map(read_schedule, json.loads(schedules))),
        float(kernels_ms),
        float(measured_ms),
        measured,
    )


def _key(key: Key) -> tuple[str, str, str]:
    return key.target, key.tvm, key.processor


MEASUREMENT = Table(
    "record",
    "measurement",
    (*_KEY, "signature", "schedule"),
    ("status", "times_ns", "measured", "origin"),
    _encode_measurement,
    _decode_measurement,
)
PRICE = Table(
    "price",
    "price",
    (*_KEY, "signature", "schedule", "context"),
    ("median_ns", "spread", "company", "noise", "measured"),
    _encode_price,
    _decode_price,
)
NETWORK = Table(
    "network",
    "network",
    (*_KEY, "network"),
    ("kernels", "schedules", "kernels_ms", "measured_ms", "measured"),
    _encode_network,
    _decode_network,
)
TABLES: tuple[Table[Any], ...] = (MEASUREMENT, PRICE, NETWORK)
DEFINITIONS = tuple(table.definition for table in TABLES)
"""The statements that create all tables."""
