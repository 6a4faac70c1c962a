"""What a target means: its vectors, caches, an estimate of its peak, and what this machine can do for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from compiler.target import FLOAT_BITS, Target
from dsl.settings import TargetSettings
from dsl.suggest import counted
from runtime import device, linker
from runtime.features import needed_flags
from runtime.linker import NoCompiler
from runtime.targets import cannot_run, resolve
from runtime.tvm_libraries import MACHINES

MULTIPLY_ADD = 2
"""Operations that a fused multiply-add counts for."""


@dataclass(frozen=True)
class TargetFacts:
    """A target as `onepath targets show` explains it. What is not published is None.

    `peak_gflops` estimates the fp32 peak of its threads: threads, clock, vector units, values a vector, two operations.
    `not_measured_here` says why this machine cannot run its code, None where it can; `compiler` what links for it.
    """

    name: str
    title: str
    kind: str
    cpu: str
    triple: str
    features: tuple[str, ...]
    abi: str
    arch: str
    vector_bits: int
    vector_registers: int
    threads: int
    cores: int | None
    l1_kib: int
    l2_kib: int
    clock_ghz: float | None
    fma_units: int | None
    peak_gflops: float | None
    needs: tuple[str, ...]
    not_measured_here: str | None
    compiler: str
    bundle_runtime: bool

    def describe(self) -> dict[str, object]:
        """All facts, as JSON has them."""
        return asdict(self)


def facts_of(settings: TargetSettings, title: str = "") -> TargetFacts:
    """The facts of a target.

    Raises:
        UnsupportedTarget, UnknownProcessor: it is none that can be built for.
    """
    target = resolve(settings)
    elsewhere = cannot_run(target)
    return TargetFacts(
        target.name,
        title,
        target.kind,
        target.cpu,
        target.triple,
        target.features,
        target.abi,
        target.arch,
        target.vector_bits,
        target.registers,
        target.threads,
        settings.cores or (len(device.cores()) if elsewhere is None else None),
        target.l1_bytes // 1024,
        target.l2_bytes // 1024,
        settings.clock_ghz,
        settings.fma_units,
        peak_gflops(settings, target),
        tuple(sorted(needed_flags(target))),
        elsewhere,
        _compiler(target),
        target.kind != "c" and target.machine in MACHINES,
    )


def peak_gflops(settings: TargetSettings, target: Target) -> float | None:
    """The fp32 peak of the target's threads by what is published; None where that is not known."""
    if settings.clock_ghz is None or settings.fma_units is None or target.kind != "llvm":
        return None
    return target.threads * settings.clock_ghz * settings.fma_units * target.lanes * MULTIPLY_ADD


def _compiler(target: Target) -> str:
    try:
        return " ".join(linker.compiler_for(target).command)
    except NoCompiler:
        return f"none; {linker.way_out(target.machine)}"


def lines_of(facts: TargetFacts) -> list[str]:
    """The facts for people, a line each."""
    vectors = f"{facts.vector_bits} bits ({facts.vector_bits // FLOAT_BITS} fp32), {facts.vector_registers} registers"
    if facts.kind == "cuda":
        return [
            *_head(facts),
            f"GPU        {facts.arch}; its kernels have TVM's default GPU schedules, and are not tuned",
            f"host       {facts.cpu}, {facts.triple}",
        ]
    processor = f"{facts.cpu} for {facts.triple}" + (f", {facts.abi}" if facts.abi else "")
    if facts.kind == "c":
        processor, vectors = "any that has a C compiler", "none: loops are left to the C compiler"
    parts = [
        *_head(facts),
        f"processor  {processor}",
        f"switches   {' '.join(facts.features)}" if facts.features else "",
        f"needs      {' '.join(facts.needs)}" if facts.needs else "",
        f"vectors    {vectors}",
        f"caches     L1 {facts.l1_kib} KiB, L2 {facts.l2_kib} KiB a core",
        f"threads    {facts.threads}" + (f" of {counted(facts.cores, 'core')}" if facts.cores else ""),
        f"peak       {_peak(facts)}",
        f"here       {facts.not_measured_here or 'this machine runs and measures its code'}",
        f"compiler   {facts.compiler}",
        f"runtime    {_runtime(facts)}",
    ]
    return [*parts[:2], *filter(None, parts[2:])]


def _head(facts: TargetFacts) -> list[str]:
    return [f"{facts.name}: {facts.title}" if facts.title else facts.name, ""]


def _peak(facts: TargetFacts) -> str:
    if facts.peak_gflops is None:
        return "not estimated: `clock_ghz` and `fma_units` are not stated"
    return (
        f"{facts.peak_gflops:.0f} GFLOP/s fp32, estimated: {facts.threads} threads x {facts.clock_ghz:g} GHz x "
        f"{facts.fma_units} units x {facts.vector_bits // FLOAT_BITS} values x 2"
    )


def _runtime(facts: TargetFacts) -> str:
    if facts.bundle_runtime:
        return "bundles carry TVM's libraries for it"
    if facts.kind == "c":
        return "no bundle holds C source; the standalone form does (`--standalone`)"
    return "TVM has no libraries for it; the standalone form needs none (`--standalone`)"
