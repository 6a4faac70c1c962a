"""A compiled network on a remote device, as a benchmark runs it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from compiler.target import Target
from runtime import device
from runtime.devices.errands import FREE_S
from runtime.devices.facts import kind_of
from runtime.devices.session import Session
from runtime.devices.tracker import Address, DeviceProblem

Array = np.ndarray[Any, Any]


class DeviceModel:
    """The network in a library that was linked for a device, loaded there; times are by the device's clock."""

    def __init__(self, setup: Mapping[str, Any]) -> None:
        """`setup` has the device's `key`, the tracker's `host` and `port`, the `library`, and of the target's
        processor `cpu`, `machine` and the flags (`features`) that its code needs.

        Raises:
            DeviceProblem: there is no such device, or it lacks what the code needs.
        """
        target = Target("bundle", setup["cpu"], f"{setup['machine']}-linux", threads=setup["threads"])
        tracker = Address(setup["host"], setup["port"])
        self._session = Session(setup["key"], tracker, target, FREE_S)
        self._check(setup)
        begin = time.perf_counter()
        self._machine = self._session.network(setup["library"])
        self.load_ms = 1e3 * (time.perf_counter() - begin)
        """How long the library took to reach the device and be loaded there."""

    def _check(self, setup: Mapping[str, Any]) -> None:
        facts = self._session.facts
        flags = device.flags_of(facts["cpuinfo"])
        lacking = [flag for flag in setup["features"] if flags and flag not in flags]
        if facts["machine"] != setup["machine"] or lacking:
            reason = f"it is {facts['machine']}" + (f" without {', '.join(lacking)}" if lacking else "")
            raise DeviceProblem(f"the device `{facts['name']}` does not run this bundle: {reason}")

    def __call__(self, values: Array) -> Array:
        """The output for one input."""
        output: Array = self._machine["main"](self._session.array(values)).numpy()
        return output

    def times_ms(self, values: Array, count: int) -> list[float]:
        """The milliseconds of so many runs, with the input on the device."""
        times = self._session.network_ns(self._machine, [self._session.array(values)], count)
        return [time / 1e6 for time in times]

    def peak_mb(self) -> float:
        """The most memory that the session held."""
        return self._session.peak_mb()

    def describe(self) -> dict[str, Any]:
        """The device as results state it."""
        facts = self._session.facts
        kind = kind_of(facts)
        own = {"device": facts["name"], "processor": kind.rpartition(" ")[0], "fingerprint": kind}
        return {**own, "cores": len(facts["cores"]), "system": facts["system"]}
