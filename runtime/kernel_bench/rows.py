"""The values of a kernel benchmark, as its JSON file holds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from runtime.files import write_json
from runtime.kernel_bench.limits import Limits

SCHEMA = "onepath.kernels/1"


@dataclass(frozen=True)
class KernelBench:
    """One distinct kernel: times in microseconds, of one call in the company of the network's others.

    `share_of_bound` is the bound over the time, `default_us` the time with the schedule that an untuned build takes.
    `layers_us` are the same layers elsewhere, timed inside the whole network there, by program, and `layers_absent`
    why a program has no time for them. `reason` says why a kernel is under half of its bound, "" where it is not.
    """

    name: str
    signature: str
    schedule: str
    calls: int
    time_us: float
    gflops: float
    bytes_moved: int
    intensity: float
    bound_us: float
    limit: str
    share_of_bound: float
    default_us: float
    layers_us: dict[str, float] = field(default_factory=dict)
    layers_absent: dict[str, str] = field(default_factory=dict)
    reason: str = ""

    @property
    def total_us(self) -> float:
        """The time of all its calls."""
        return self.calls * self.time_us

    @property
    def gain(self) -> float:
        """How many times as long the default schedule takes."""
        return self.default_us / self.time_us


@dataclass(frozen=True)
class KernelReport:
    """All distinct kernels of a bundle, the limits they are held against, and what is compared with.

    `least_us` is the time of a kernel that does next to nothing, in the same company: what any call costs. `others`
    are the versions of the programs in `layers_us`, `left_out` those that are not there, and why;
    `elsewhere_us` is what they spend on anything else, such as on changing layouts.
    """

    network: str
    threads: int
    limits: Limits
    kernels: tuple[KernelBench, ...]
    machine: dict[str, Any]
    noise: dict[str, Any]
    least_us: float
    others: dict[str, str] = field(default_factory=dict)
    elsewhere_us: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def total_us(self) -> float:
        """The time of all calls of all kernels."""
        return sum(kernel.total_us for kernel in self.kernels)

    def share_of_network(self, kernel: KernelBench) -> float:
        """The part of `total_us` that is a kernel's."""
        return kernel.total_us / self.total_us


ORDERS: Mapping[str, Callable[[KernelBench], Any]] = {
    "time": lambda kernel: -kernel.total_us,
    "share": lambda kernel: kernel.share_of_bound,
    "gain": lambda kernel: -kernel.gain,
    "gflops": lambda kernel: -kernel.gflops,
    "name": lambda kernel: kernel.name,
}
"""What a table can be sorted by: most time first, least share of the bound first, and so on."""


def ordered(kernels: Sequence[KernelBench], order: str) -> list[KernelBench]:
    """The kernels in one of `ORDERS`; equal ones by their signatures."""
    return sorted(kernels, key=lambda kernel: (ORDERS[order](kernel), kernel.signature))


def write_report(path: Path, report: KernelReport) -> Path:
    """Write the report as JSON, wholly or not at all.

    Raises:
        FileProblem: the place cannot be written.
    """
    return write_json(path, asdict(report), SCHEMA)
