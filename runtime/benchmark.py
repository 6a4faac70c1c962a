"""The values of a benchmark, as `bench.json` holds them: milliseconds, megabytes, GFLOP/s, shares of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from compiler.kernel import parse
from runtime.files import FileProblem, read_json, write_json
from runtime.noise import NOISY_SPREAD, NOISY_STEAL

SCHEMA = "onepath.bench/1"


@dataclass(frozen=True)
class KernelRow:
    """One distinct kernel of the network: `time_ms` is one call in the network, `calls` how many there are.

    `share_of_peak` is of the machine's measured fp32 peak at as many threads; `untuned_time_ms` the same
    kernel through TVM's default schedule. `places` are the lines of the space that it comes from.
    """

    signature: str
    calls: int
    time_ms: float
    gflops: float
    share_of_peak: float
    gigabytes_per_s: float
    untuned_time_ms: float | None = None
    places: tuple[str, ...] = ()

    @property
    def total_ms(self) -> float:
        """The time of all its calls."""
        return self.calls * self.time_ms


def kernel_row(
    signature: str,
    calls: int,
    time_ms: float,
    peak_gflops: float,
    untuned_time_ms: float | None = None,
    places: Sequence[str] = (),
) -> KernelRow:
    """The row of a kernel that was timed; a multiply-accumulate counts as two operations, on padding as none.

    Raises:
        ValueError: it is no kernel's signature.
    """
    kernel = parse(signature)
    gflops = 2 * kernel.arithmetic_macs / time_ms / 1e6
    share, moved = gflops / peak_gflops, kernel.bytes_moved / time_ms / 1e6
    return KernelRow(signature, calls, time_ms, gflops, share, moved, untuned_time_ms, tuple(places))


@dataclass(frozen=True)
class Latency:
    """How long runs took: percentiles over `runs` of them, and the spread p90 / p50."""

    latency_p50_ms: float
    latency_p90_ms: float
    latency_p99_ms: float
    latency_min_ms: float
    latency_p10_ms: float
    runs: int
    steal: float = 0.0

    @property
    def noisy(self) -> bool:
        """True where the spread or the stolen time is too great for the median to be trusted."""
        return self.latency_p90_ms > NOISY_SPREAD * self.latency_p50_ms or self.steal > NOISY_STEAL


def latency(times_ms: Sequence[float], steal: float = 0.0) -> Latency:
    """The summary of a series of times; `steal` is the share of the processor time that others took meanwhile."""
    p50, p90, p99, p10 = (round(float(np.percentile(times_ms, p)), 5) for p in (50, 90, 99, 10))
    return Latency(p50, p90, p99, round(min(times_ms), 5), p10, len(times_ms), round(steal, 4))


@dataclass(frozen=True)
class PeerResult:
    """A peer on the same network, in the same minutes. `speedup` is its time over the bundle's, paired."""

    latency_p50_ms: float
    latency_p90_ms: float
    latency_p99_ms: float
    speedup: float
    load_ms: float
    first_run_ms: float
    memory_mb: float
    version: str
    configuration: dict[str, Any]
    latency_p10_ms: float | None = None


@dataclass(frozen=True)
class Benchmark:
    """All of `bench.json`; None where something was not asked for or is not installed.

    `left_out` says of each peer that did not take part why. `agreement` holds the largest relative error of each
    contender against `torch`, and of the bundle against each; `latency_predicted_ms` is the latency table's with the
    kernels that the bundle holds, give or take `latency_error_ms`, its `…before_ms` with those that the search priced;
    `prediction_error` is predicted over measured, less one; `stages_s` the seconds of each stage of the run, `cores`
    the processors that all contenders were pinned to.
    """

    network: str
    threads: int
    latency_p50_ms: float
    latency_p90_ms: float
    latency_p99_ms: float
    latency_min_ms: float
    runs: int
    load_ms: float
    first_run_ms: float
    memory_mb: float
    accuracy_test: float | None = None
    test_images: int = 0
    latency_predicted_ms: float | None = None
    latency_predicted_before_ms: float | None = None
    prediction_error: float | None = None
    untuned_tvm_latency_p50_ms: float | None = None
    kernels: tuple[KernelRow, ...] = ()
    peers: dict[str, PeerResult] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    agreement: dict[str, float] = field(default_factory=dict)
    agreement_images: int = 0
    stages_s: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    noise: dict[str, Any] = field(default_factory=dict)
    latency_p10_ms: float | None = None
    cores: tuple[int, ...] = ()
    latency_error_ms: float | None = None


def relative_error(values: npt.NDArray[Any], reference: npt.NDArray[Any]) -> float:
    """The largest difference of an image's scores, over the largest score of that image; [N, classes] both."""
    scale = np.abs(reference.astype(np.float64)).max(axis=1)
    difference = np.abs(values.astype(np.float64) - reference).max(axis=1)
    return float((difference / np.maximum(scale, np.finfo(np.float32).tiny)).max(initial=0.0))


def write_benchmark(path: Path, benchmark: Benchmark) -> Path:
    """Write `bench.json`."""
    return write_json(path, asdict(benchmark), SCHEMA)


def read_benchmark(path: Path) -> Benchmark:
    """Read `bench.json`.

    Raises:
        FileProblem: it is missing, damaged or of another version.
    """
    try:
        return msgspec.convert(read_json(path, SCHEMA), Benchmark)
    except msgspec.ValidationError as problem:
        raise FileProblem(path, f"is no benchmark ({problem})", "run the benchmark again") from None


def with_stages(benchmark: Benchmark, stages_s: Mapping[str, float]) -> Benchmark:
    """The benchmark with the times of the run's stages, which end after it."""
    return replace(benchmark, stages_s=dict(stages_s))
