"""The machine: which processor it is for LLVM, how fast it can be, how quiet it is."""

from __future__ import annotations

import difflib
import hashlib
import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from compiler.target import Target
from dsl.suggest import counted
from runtime.features import features_of
from runtime.noise import NOISY_SPREAD, NOISY_STEAL, StealWatch

DEFAULT_L1, DEFAULT_L2 = 32 * 1024, 512 * 1024

_WATCHED = ("avx", "avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd")
"""Vector features that a hypervisor may hide although the processor's model has them."""


class UnknownProcessor(ValueError):
    """A processor name that LLVM does not know; the hint offers near ones."""

    def __init__(self, cpu: str, triple: str, hint: str | None) -> None:
        self.message, self.hint = f"LLVM knows no processor `{cpu}` for {triple}", hint
        super().__init__(self.message + (f"; {hint}" if hint else ""))


@dataclass(frozen=True, slots=True)
class Noise:
    """How quiet the machine was: the load average of a minute, the share of time that the hypervisor took,
    and p90 / p50 of a known kernel. `noisy` is the verdict."""

    load: float
    steal: float
    spread: float

    @property
    def noisy(self) -> bool:
        """Whether timings taken now should be marked."""
        return self.spread > NOISY_SPREAD or self.steal > NOISY_STEAL


@dataclass(frozen=True, slots=True)
class Roofline:
    """The machine's limits, measured on the target's threads: peak of fp32 arithmetic, bandwidth of memory."""

    peak_gflops: float
    memory_gb_s: float


def triple() -> str:
    """The triple of this machine, as LLVM and the system's linker agree on it."""
    system = "apple-darwin" if platform.system() == "Darwin" else "unknown-linux-gnu"
    return f"{platform.machine()}-{system}"


def host(threads: int = 1, name: str = "host") -> Target:
    """The machine this runs on.

    Raises:
        ValueError: more threads than the machine has cores for this process.
    """
    from compiler.codegen.tvm_api import system_processor

    available = len(cores())
    if threads > available:
        raise ValueError(f"{threads} threads asked for, and this process has {counted(available, 'core')}")
    cpu, here, flags = system_processor(), triple(), cpu_flags()
    hidden = tuple(f"-{flag}" for flag in _WATCHED if flag not in flags) if here.startswith("x86_64") else ()
    return processor(cpu, here, threads=threads, name=name, features=hidden, caches=cache_sizes())


def processor(
    cpu: str,
    triple: str,
    *,
    threads: int = 1,
    name: str = "",
    features: tuple[str, ...] = (),
    caches: tuple[int, int] = (DEFAULT_L1, DEFAULT_L2),
    abi: str = "",
) -> Target:
    """A target by LLVM's name of its processor.

    Raises:
        UnknownProcessor: LLVM knows no such processor for that triple.
    """
    check_cpu(cpu, triple)
    l1, l2 = caches
    target = Target(
        name or cpu, cpu, triple, features=features, threads=threads, l1_bytes=l1, l2_bytes=l2, abi=abi
    )
    bits, registers = _vectors(target)
    return replace(target, vector_bits=bits, registers=registers)


def check_cpu(cpu: str, triple: str) -> None:
    """Refuse a name that LLVM does not know: TVM takes it silently and compiles for a baseline.

    Raises:
        UnknownProcessor: with near names.
    """
    from compiler.codegen.tvm_api import known_processors

    known = known_processors(triple)
    if cpu not in known:
        near = difflib.get_close_matches(cpu, sorted(known), 3)
        raise UnknownProcessor(cpu, triple, f"did you mean {', '.join(near)}?" if near else None)


def _vectors(target: Target) -> tuple[int, int]:
    """Width in bits and number of the vector registers; a width of one value where there are none."""
    features = features_of(target)
    if target.machine in ("x86_64", "i686"):
        if "avx512f" in features and "avx512vl" in features:
            return 512, 32
        return (256, 16) if "avx" in features else (128, 16)
    if target.machine == "riscv64":
        # Code for vectors of the least width that the V extension allows runs on wider ones, too.
        return (128, 32) if "v" in features else (32, 32)
    if target.machine.startswith("arm"):
        return (128, 16) if "neon" in features else (32, 16)
    return 128, 32


def cores() -> list[int]:
    """The processors that this process may use, in order."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(psutil.cpu_count() or 1))


def cpu_flags() -> frozenset[str]:
    """What the kernel says the processor can do; empty where it does not say."""
    return flags_of(_cpuinfo())


def flags_of(cpuinfo: Iterable[str]) -> frozenset[str]:
    """The flags of a processor by what Linux says of it."""
    for line in cpuinfo:
        if line.startswith(("flags", "Features")):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().split("\n\n")[0].splitlines() if path.exists() else []


def cache_sizes() -> tuple[int, int]:
    """Bytes of the first and second data cache of a core, or usual values where they are not stated."""
    return first_caches(_stated_caches())


def first_caches(stated: Mapping[int, int]) -> tuple[int, int]:
    """Of the data caches by level the first two, or usual values where they are not stated."""
    sizes = {1: DEFAULT_L1, 2: DEFAULT_L2, **stated}
    return sizes[1], sizes[2]


def last_cache_bytes() -> int:
    """Bytes of the cache that cores share before memory; 0 where there is none, or it is not stated."""
    return _stated_caches().get(3, 0)


def _stated_caches() -> dict[int, int]:
    """Bytes of the first core's data caches by level, as Linux states them."""
    folders = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    return data_caches(
        [
            tuple((folder / name).read_text().strip() for name in ("level", "type", "size"))
            for folder in folders
        ]
    )


def data_caches(stated: Iterable[Sequence[str]]) -> dict[int, int]:
    """Bytes of data caches by level, of rows of level, type and size as Linux states them."""
    sizes = {}
    for level, kind, size in stated:
        if kind in ("Data", "Unified"):
            sizes[int(level)] = int(size.rstrip("KM")) * (1 << 20 if size.endswith("M") else 1 << 10)
    return sizes


def fingerprint() -> str:
    """The processor's identity for tuning records: model, family, stepping, flags and caches, hashed."""
    return identity(_cpuinfo(), cache_sizes(), platform.machine(), platform.processor())


def identity(cpuinfo: Sequence[str], caches: tuple[int, int], machine: str, otherwise: str = "") -> str:
    """The identity of a processor by what Linux says of it; `otherwise` is its name where Linux is not."""
    wanted = ("vendor_id", "model name", "cpu family", "model", "stepping", "flags", "Features", "CPU part")
    facts = [line for line in cpuinfo if line.partition(":")[0].strip() in wanted]
    text = "\n".join([*(facts or [otherwise, machine]), *map(str, caches)])
    return f"{_named(cpuinfo) or otherwise or machine} {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def processor_name() -> str:
    """The processor's name as its maker writes it."""
    return _named(_cpuinfo()) or platform.processor() or platform.machine()


def _named(cpuinfo: Iterable[str]) -> str:
    """The processor's name, where Linux knows it."""
    for line in cpuinfo:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return ""


def description() -> dict[str, str | int]:
    """The machine as results state it: processor, its fingerprint, cores of this process, system."""
    return {
        "processor": processor_name(),
        "fingerprint": fingerprint(),
        "cores": len(cores()),
        "system": f"{platform.system()} {platform.release()}",
    }


def steal_share(seconds: float = 0.3) -> float:
    """The share of processor time that the hypervisor gave to others, watched for a moment."""
    watch = StealWatch()
    time.sleep(seconds)
    return watch.share


def load_average() -> float:
    """Processes that wanted to run in the last minute."""
    return os.getloadavg()[0]
