"""A session on a remote device, held by a worker process: what the worker builds is loaded and run there.

Code is generated and linked here; the library goes to the device, arrays are made there, and what comes back
are times that the code read from the device's own clock. What the network takes is in none of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tvm import relax, rpc, runtime

from compiler.codegen import tvm_api
from compiler.target import Target
from runtime.devices.tracker import Address, Connection, DeviceProblem, Offer
from runtime.linker import link_for
from runtime.place import FEWEST_ROWS, MOST_ROWS

Array = np.ndarray[Any, Any]
NOT_OURS = (
    "the device at {where} is served by a program that Onepath knows nothing of; serve it with "
    "`onepath device serve`, or with the file that `onepath device script` writes"
)


class Session:
    """A device that is this process's alone until it ends."""

    def __init__(self, key: str, tracker: Address, target: Target, wait_s: float) -> None:
        """Ask the tracker for a free device of the key, connect, and have it prepare for the target's threads.

        Raises:
            DeviceProblem: no tracker, no such key, none free in time, none of ours, or too few cores.
        """
        self._target, self._numbers = target, count()
        with Connection(tracker) as connection:
            connection.of_key(key)
            offer = connection.request(key, wait_s)
        self._remote = rpc.connect(offer.host, offer.port, offer.match)
        self.facts = self._greeting(offer)
        try:
            self._function("prepare")(target.threads)
        except Exception as problem:
            raise DeviceProblem(f"the device `{self.facts['name']}` cannot be used: {problem}") from None
        self._cpu = self._remote.cpu()

    def _greeting(self, offer: Offer) -> dict[str, Any]:
        """What the device says of itself."""
        try:
            facts: dict[str, Any] = json.loads(str(self._function("facts")()))
        except AttributeError:
            raise DeviceProblem(NOT_OURS.format(where=f"{offer.host}:{offer.port}")) from None
        return facts

    def _function(self, name: str) -> Any:
        return self._remote.get_function(f"onepath.device.{name}")

    def library(self, path: Path | str) -> Any:
        """A shared library, linked for the device, loaded there."""
        # The system's loader takes a second library of the same name for the first one, even once that is removed.
        name = f"{next(self._numbers)}.so"
        self._remote.upload(str(path), name)
        try:
            return self._remote.load_module(name)
        finally:
            self._remote.remove(name)

    def function(self, executable: Any, name: str) -> Any:
        """A function of a compiled module, linked here and loaded there.

        Raises:
            NoCompiler: nothing here links for the target.
        """
        with TemporaryDirectory(prefix="onepath-") as folder:
            path = Path(folder) / f"{name}.so"
            tvm_api.export(executable, str(path), link_for(self._target))
            return self.library(path)[name]

    def network(self, path: Path | str) -> Any:
        """The virtual machine of a compiled network, loaded there."""
        return relax.VirtualMachine(self.library(path), self._cpu)

    def network_ns(self, machine: Any, inputs: Sequence[Any], count: int) -> list[int]:
        """The nanoseconds of so many runs of a network, each by the device's clock, after one that does not count."""
        evaluator = machine.time_evaluator("main", self._cpu, number=1, repeat=count)
        return [round(seconds * 1e9) for seconds in evaluator(*inputs).results]

    def main_ns(self, executable: Any, inputs: Sequence[Array], seconds: float) -> list[int]:
        """The nanoseconds of the runs of a compiled Relax module's `main`, for about so long."""
        with TemporaryDirectory(prefix="onepath-") as folder:
            path = Path(folder) / "main.so"
            tvm_api.export(executable, str(path), link_for(self._target))
            machine, given = self.network(path), [self.array(each) for each in inputs]
        typical_s = min(self.network_ns(machine, given, 2)) / 1e9
        count = min(MOST_ROWS, max(FEWEST_ROWS, int(seconds / typical_s)))
        return self.network_ns(machine, given, count)

    def array(self, values: Array) -> Any:
        """The values as an array on the device."""
        return runtime.tensor(values, device=self._cpu)

    def zeros(self, size: int) -> Any:
        """So many fp32 zeros: fresh memory of the device, which is not touched until it is used."""
        return runtime.empty((size,), "float32", self._cpu)

    def uniform(self, size: int, low: float, high: float) -> Any:
        """So many random fp32 values, seeded, made on the device."""
        return self._function("uniform")(size, low, high)

    def load(self) -> dict[str, Any]:
        """The device's load average and the counters of its processors' time."""
        found: dict[str, Any] = json.loads(str(self._function("load")()))
        return found

    def peak_mb(self) -> float:
        """The most memory that the session held on the device, with TVM's Python package in it."""
        return float(self._function("peak_mb")())
