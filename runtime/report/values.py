"""What a report is made from: plain values, so that any search, table or benchmark can fill them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.ir.graph import Network
from compiler.latency import LatencyTable
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
    """Measures of a search or training after `step`; None where one was not taken.

    `expected` is what the distribution costs, by metric (`latency on host` in milliseconds, `macs`), `prices` the
    multiplier of each cap. `entropy` is 1 where nothing is decided, 0 where everything is.
    """

    step: int
    loss: float | None = None
    accuracy: float | None = None
    entropy: float | None = None
    expected: Mapping[str, float] = field(default_factory=dict)
    prices: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """The probability of each candidate after `step`, by decision and label."""

    step: int
    probabilities: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Pruned:
    """A candidate that was given up, since its probability fell under the threshold.

    `left` counts the decision's candidates that are left, `total_left` those of all decisions.
    """

    step: int
    decision: str
    label: str
    probability: float
    threshold: float
    left: int
    total_left: int


@dataclass(frozen=True)
class Judged:
    """A network with its score, a share of one, and its costs by metric; `best` is the best score so far."""

    score: float
    costs: Mapping[str, float]
    best: float | None = None


@dataclass(frozen=True)
class History:
    """The course of a search or training, in the order of its steps; a part is empty that it has not.

    `front` are the networks of which none costs less and scores more, `caps` the limits by metric.
    """

    points: tuple[Point, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    pruned: tuple[Pruned, ...] = ()
    evaluations: tuple[Judged, ...] = ()
    front: tuple[Judged, ...] = ()
    found: Judged | None = None
    caps: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """All of a report. `network` is the derived one, `source` the file it came from, `data` the data set.

    `table` is the latency table that the bundle was built with, by which the layers' latencies are told.
    """

    title: str
    network: Network
    benchmark: Benchmark
    table: LatencyTable | None = None
    source: str = ""
    data: str = ""
    space_size: int | None = None
    cap_ms: float | None = None
    target: str = ""
    mixed: tuple[MixedChoice, ...] = ()
    search: History = field(default_factory=History)
    training: History = field(default_factory=History)
    notes: tuple[str, ...] = ()
