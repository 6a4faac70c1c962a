"""What a report is made from: plain values, so that any search, table or benchmark can fill them."""

from __future__ import annotations

from dataclasses import dataclass, field

from compiler.ir.graph import Network
from runtime.benchmark import Benchmark


@dataclass(frozen=True)
class MixedChoice:
    """One mixed op after the search: its candidates, their probabilities, and which one was chosen.

    `name` is the mixed node's name, which is the `unit` of the network's nodes that the choice made.
    """

    name: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    chosen: int


@dataclass(frozen=True)
class Point:
    """Measures of a search or training after `step`; None where one was not taken."""

    step: int
    loss: float | None = None
    accuracy: float | None = None
    expected_latency_ms: float | None = None
    entropy: float | None = None
    """Mean entropy of the mixed ops' probabilities over its maximum: 1 is undecided, 0 decided."""


@dataclass(frozen=True)
class History:
    """The course of a search or training, in the order of its steps."""

    points: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Report:
    """All of a report. `network` is the derived one, `source` the file it came from, `data` the data set."""

    title: str
    network: Network
    benchmark: Benchmark
    source: str = ""
    data: str = ""
    space_size: int | None = None
    cap_ms: float | None = None
    target: str = ""
    mixed: tuple[MixedChoice, ...] = ()
    search: History = field(default_factory=History)
    training: History = field(default_factory=History)
    notes: tuple[str, ...] = ()
