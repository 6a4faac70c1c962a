"""Metrics as charts name them: a title, a unit, and the factor that brings a value to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runtime.report.numbers import PREFIXES, figures


@dataclass(frozen=True)
class Metric:
    """How values of a metric are drawn: times `scale`, in `unit`."""

    title: str
    unit: str
    scale: float

    @property
    def heading(self) -> str:
        """The title with the unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def say(self, value: float) -> str:
        """A value with its unit."""
        return f"{figures(value * self.scale)} {self.unit}".rstrip()


def metric_of(name: str, values: Iterable[float]) -> Metric:
    """How a search's metric (`latency on host`, `macs`) is drawn, where these are its values."""
    largest = max((abs(value) for value in values), default=0.0)
    kind = name.split(" ")[0]
    if kind == "latency":
        return Metric(name, "ms", 1.0) if largest >= 0.01 else Metric(name, "µs", 1e3)
    if kind == "peak_memory":
        return Metric("peak memory", "KiB", 1 / 1024)
    title = {"macs": "MACs", "params": "parameters"}.get(kind, name)
    for factor, prefix in PREFIXES:
        if largest >= factor:
            return Metric(title, prefix, 1 / factor)
    return Metric(title, "", 1.0)
