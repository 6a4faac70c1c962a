"""What sessions may ask of a device besides running code: what it is, how busy it is, which cores to take."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def facts(name: str, cores: list[int]) -> str:
    """What tells this device from others, as the system states it, in JSON."""
    first = _text("/proc/cpuinfo").split("\n\n")[0].splitlines()
    folders = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    caches = [[_text(folder / each) for each in ("level", "type", "size")] for folder in folders]
    found = {"name": name, "cores": cores, "machine": platform.machine(), "cpuinfo": first, "caches": caches}
    found["system"] = f"{platform.system()} {platform.release()}"
    return json.dumps(found)


def _text(path: Path | str) -> str:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""


def load() -> str:
    """The load average of a minute, and the counters of all processors' time, in JSON."""
    counters = _text("/proc/stat").partition("\n")[0].split()[1:]
    return json.dumps({"load": os.getloadavg()[0], "counters": [int(each) for each in counters]})


def take_cores(cores: list[int]) -> None:
    """Keep this process to some processors, with a thread of TVM's on each.

    Raises:
        OSError: the processors are not there.
    """
    import tvm

    os.sched_setaffinity(0, cores)
    before = set(os.listdir("/proc/self/task"))
    tvm.get_global_func("runtime.config_threadpool")(1, len(cores))
    started = sorted(map(int, set(os.listdir("/proc/self/task")) - before))
    if len(cores) > 1 and len(started) == len(cores) - 1:
        for thread, core in zip(started, cores[1:], strict=True):
            os.sched_setaffinity(thread, {core})
        os.sched_setaffinity(0, {cores[0]})


def uniform(size: int, low: float, high: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """So many values, seeded and random, or all the same."""
    if low == high:
        return np.full(size, low, dtype=np.float32)
    return np.random.default_rng(0).uniform(low, high, size).astype(np.float32)


def peak_mb() -> float:
    """The most memory that this session held, resident, in MB."""
    lines = [line for line in _text("/proc/self/status").splitlines() if line.startswith("VmHWM:")]
    return round(int(lines[0].split()[1]) / 1024, 1) if lines else 0.0


def register(name: str, cores: list[int]) -> None:
    """Offer these functions to sessions."""
    import tvm
    import tvm_ffi

    def prepare(threads: int) -> None:
        if threads > len(cores):
            raise ValueError(
                f"{threads} threads are asked for, and the device `{name}` has {len(cores)} cores"
            )
        take_cores(cores[:threads])

    offered: dict[str, Callable[..., object]] = {
        "facts": lambda: facts(name, cores),
        "load": load,
        "prepare": prepare,
        # Made here, random numbers need not travel.
        "uniform": lambda size, low, high: tvm.runtime.tensor(uniform(size, low, high)),
        "peak_mb": peak_mb,
    }
    for title, function in offered.items():
        tvm_ffi.register_global_func(f"onepath.device.{title}", function, override=True)
