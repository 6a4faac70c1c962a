"""Where a worker runs what it builds: in its own process, or in a session on a remote device."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from compiler.codegen import probe as probes
from compiler.codegen import tvm_api
from compiler.target import Target
from runtime.devices.server.offered import uniform

Array = np.ndarray[Any, Any]
FEWEST_ROWS, MOST_ROWS = 8, 60
"""Runs of a candidate: few for a slow one, more for one that ends before the clock has settled."""
PEAK_TURNS = 4000
CLOCK_RUNS = 40


class Place(Protocol):
    """What a worker needs of the machine that its code runs on."""

    def function(self, executable: Any, name: str) -> Any:
        """A function of a compiled module, ready to be called."""

    def library(self, path: Path | str) -> Any:
        """A shared library that was linked for this machine, loaded."""

    def array(self, values: Array) -> Any:
        """The values as an array there."""

    def zeros(self, size: int) -> Any:
        """So many fp32 zeros."""

    def uniform(self, size: int, low: float, high: float) -> Any:
        """So many random fp32 values between two numbers, seeded."""

    def main_ns(self, executable: Any, inputs: Sequence[Array], seconds: float) -> list[int]:
        """The nanoseconds of the runs of a compiled Relax module's `main`, for so long."""


class Here:
    """This process."""

    def function(self, executable: Any, name: str) -> Any:
        """A function of a compiled module."""
        return executable[name]

    def library(self, path: Path | str) -> Any:
        """A shared library, loaded."""
        return tvm_api.load_library(str(path))

    def array(self, values: Array) -> Any:
        """The values as an array of TVM's runtime."""
        return tvm_api.array(values)

    def zeros(self, size: int) -> Any:
        """So many fp32 zeros."""
        return tvm_api.array(np.zeros(size, dtype=np.float32))

    def uniform(self, size: int, low: float, high: float) -> Any:
        """So many random fp32 values between two numbers, seeded."""
        return tvm_api.array(uniform(size, low, high))

    def main_ns(self, executable: Any, inputs: Sequence[Array], seconds: float) -> list[int]:
        """The nanoseconds of the runs of a compiled Relax module's `main`, for so long, the first two left out."""
        run, given = tvm_api.main_of(executable), [tvm_api.array(each) for each in inputs]
        times: list[int] = []
        deadline = time.perf_counter() + seconds
        while len(times) < FEWEST_ROWS or (time.perf_counter() < deadline and len(times) < MOST_ROWS):
            before = time.perf_counter_ns()
            run(*given)
            times.append(time.perf_counter_ns() - before)
        return times[2:]


class PeakProbe:
    """A kernel of fused multiply-adds alone, which says how fast a processor's clock is now."""

    def __init__(self, place: Place, target: Target) -> None:
        self._function = place.function(tvm_api.build(probes.peak(target), target), probes.PEAK)
        self._values = place.uniform((probes.CHAINS + 1) * target.lanes, 0.5, 0.5)
        self._times = place.array(np.zeros(1, dtype=np.int64))
        self.work = 2.0 * probes.CHAINS * target.lanes * PEAK_TURNS
        """Floating-point operations of a run."""

    def run_ns(self) -> int:
        """The nanoseconds of one run."""
        self._function(self._values, self._times, PEAK_TURNS)
        return max(1, int(self._times.numpy()[0]))

    def clock_ns(self) -> float:
        """The nanoseconds of a run that nothing interrupted: the tenth percentile of some."""
        return float(np.quantile([self.run_ns() for _ in range(CLOCK_RUNS)], 0.1))


def bandwidth_gb_s(place: Place, target: Target, size: int, repeats: int) -> list[float]:
    """GB/s that one thread reads from an array of so many fp32 values, a multiple of 256, run by run."""
    function = place.function(tvm_api.build(probes.read(target, size), target), probes.READ)
    data, sums = place.uniform(size, 1.0, 1.0), place.zeros(256)
    times = place.array(np.zeros(1, dtype=np.int64))
    rates = []
    for _ in range(repeats):
        function(data, sums, times)
        rates.append(4.0 * size / max(1, int(times.numpy()[0])))
    return rates
