"""Latency tables: what the kernels of a space cost on a target, and what a network of them will cost.

The latency of a network is the sum of its kernels, each timed in the company of others so that caches are
as in a network, plus a constant, a cost for each call and one for each byte of constants, all fitted on whole
networks. The error is the model's relative error on those networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from compiler.pricing import Prices
from compiler.target import Target

if TYPE_CHECKING:
    from compiler.codegen.schedules.template import Schedule
    from compiler.passes.fuse import Plan

SCHEMA = "onepath.latency/1"


class TableProblem(ValueError):
    """A latency table that cannot be used, or that lacks what is asked of it."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kernel: the median of means of its times, p90 over that, and the schedule it was timed with.

    `tuned` says that several schedules were tried; otherwise it is the default schedule of ours.
    """

    median_ms: float
    spread: float
    tuned: bool
    schedule: str
    constant_bytes: int = 0


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole network that the model was fitted on: calls, the sum of its kernels, what was measured, its constants."""

    calls: int
    kernels_ms: float
    measured_ms: float
    constant_bytes: int = 0


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the sum of the kernels leaves out; `error` is relative: the root mean square over the samples."""

    constant_ms: float
    per_call_ms: float
    error: float
    samples: tuple[Sample, ...]
    per_megabyte_ms: float = 0.0

    def call_ms(self, kernel: Entry) -> float:
        """What a call of a kernel costs a network."""
        return kernel.median_ms + self.per_call_ms + self.per_megabyte_ms * kernel.constant_bytes / 1e6


class MeasuredNoise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How quiet the machine was: load average, share of stolen time, p90 / p50 of a known kernel."""

    load: float
    steal: float
    spread: float
    noisy: bool


class LatencyTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The latencies of kernels on one target; `records` is the digest of what they were read from.

    That is the prices of the kernels and the networks that the model was fitted on, as the records hold them.
    """

    target: dict[str, Any]
    processor: str
    tvm: str
    entries: dict[str, Entry]
    model: Model
    records: str
    noise: MeasuredNoise

    def predict(self, signatures: Iterable[str]) -> Prediction:
        """The latency of a network that runs these kernels, one after another.

        Raises:
            TableProblem: a kernel has no entry; the message names it.
        """
        total = self.model.constant_ms + sum(map(self.call_ms, signatures))
        return Prediction(total, total * self.model.error)

    def predict_plan(self, plan: Plan) -> Prediction:
        """The latency of a network with those chains joined that the table says are faster joined.

        Raises:
            TableProblem: a kernel has no entry; the message names it.
        """
        return self.predict(call.kernel.signature for call in self.joined(plan).calls)

    def call_ms(self, signature: str) -> float:
        """What a call of a kernel costs a network.

        Raises:
            TableProblem: it has no entry.
        """
        return self.model.call_ms(self.of(signature))

    def of(self, signature: str) -> Entry:
        """The entry of a kernel.

        Raises:
            TableProblem: there is none.
        """
        if signature not in self.entries:
            raise TableProblem(
                f"the latency table has no entry for kernel {signature}: profile the space again"
            )
        return self.entries[signature]

    @property
    def prices(self) -> Prices:
        """The table as a search reads it."""
        calls = {signature: self.model.call_ms(entry) for signature, entry in self.entries.items()}
        return Prices(calls, self.model.constant_ms, Target.from_json(self.target))

    def joined(self, plan: Plan) -> Plan:
        """The plan as a bundle of this table holds it: chains joined where the table says that it is faster.

        Raises:
            TableProblem: a kernel has no entry; the message names it.
        """
        for signature in plan.kernels:
            self.of(signature)
        return self.prices.joined(plan)

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The schedule that each kernel was timed with: what the bundle is built of."""
        from compiler.codegen.schedules.template import read_schedule

        return {signature: read_schedule(entry.schedule) for signature, entry in self.entries.items()}


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predicted latency, with the error to be expected of it; None where the table does not say."""

    latency_ms: float
    error_ms: float | None = None


def to_payload(table: LatencyTable) -> dict[str, Any]:
    """The table as plain JSON values, entries in the order of their signatures."""
    payload: dict[str, Any] = msgspec.to_builtins(table)
    payload["entries"] = dict(sorted(payload["entries"].items()))
    return payload


def from_payload(payload: Mapping[str, Any]) -> LatencyTable:
    """The table of `to_payload`.

    Raises:
        TableProblem: it is not one; the message says where it differs.
    """
    # Imported here, with TVM: tables of blocks, and all who only name this module's errors, do without.
    from compiler.codegen.schedules.template import read_schedule

    try:
        table = msgspec.convert(payload, LatencyTable)
        for entry in table.entries.values():
            read_schedule(entry.schedule)
    except (msgspec.ValidationError, ValueError) as problem:
        raise TableProblem(f"not a latency table of schema {SCHEMA} ({problem})") from None
    numbers = [entry.median_ms for entry in table.entries.values()]
    if not all(0 <= number < float("inf") for number in numbers):
        raise TableProblem("not a latency table: a time is negative or infinite")
    return table
