"""The cross table: what each network, searched for one target, takes on every target. `cross.json` holds it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from runtime.files import FileProblem, read_json, write_json

SCHEMA = "onepath.cross/1"


@dataclass(frozen=True)
class Cell:
    """One network on one target: its latency by the target's table, and the error that the table states, in ms.

    `measured_ms` is the median of the network built of the table's kernels, None where it was not measured. `holds`
    says whether it keeps every limit on the target's latency, by the table.
    """

    predicted_ms: float
    error_ms: float | None
    measured_ms: float | None
    holds: bool


@dataclass(frozen=True)
class Searched:
    """The network that was searched for one target; `on` has its cells by target.

    `score` is what the search's evaluator says of it: of a supernet, the accuracy on the validation split.
    """

    score: float
    accuracy_test: float | None
    params: int
    macs: int
    peak_memory_bytes: int
    choices: dict[str, Any]
    on: dict[str, Cell]


@dataclass(frozen=True)
class OnTarget:
    """A target: the limits on its latency, its latency table, and how quiet it was while networks were measured.

    `not_measured` says why they were not.
    """

    limits: tuple[str, ...]
    table: str
    table_sha256: str
    not_measured: str | None = None
    noisy: bool = False


@dataclass(frozen=True)
class Cross:
    """All of `cross.json`, in the order of the targets asked for; `failed` says what went wrong with whose run.

    A run may fail after its network was found.
    """

    space: str
    source: str
    targets: dict[str, OnTarget] = field(default_factory=dict)
    networks: dict[str, Searched] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def best_on(self, target: str) -> str | None:
        """Whose network is the best of those that hold the target's limits; None where none does.

        The best has the greatest test accuracy, or score where not all are trained; of equals the fastest counts.
        """
        holding = [name for name, network in self.networks.items() if network.on[target].holds]
        trained = all(self.networks[name].accuracy_test is not None for name in holding)

        def rank(name: str) -> tuple[float, float, bool]:
            network = self.networks[name]
            score = network.accuracy_test or 0.0 if trained else network.score
            return score, -network.on[target].predicted_ms, name == target

        return max(holding, key=rank, default=None)

    def describe(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "best": {target: self.best_on(target) for target in self.targets}}


def write_cross(path: Path, cross: Cross) -> Path:
    """Write `cross.json`.

    Raises:
        FileProblem: the place cannot be written.
    """
    return write_json(path, cross.describe(), SCHEMA)


def read_cross(path: Path) -> Cross:
    """Read `cross.json`.

    Raises:
        FileProblem: it is missing, damaged or of another version.
    """
    try:
        return msgspec.convert(read_json(path, SCHEMA), Cross)
    except msgspec.ValidationError as problem:
        raise FileProblem(path, f"is no cross table ({problem})", "delete it and make it again") from None
