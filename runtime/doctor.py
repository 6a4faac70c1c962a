"""What this machine lacks for a run: one finding a line, each with the way out."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from runtime import nvrtc
from runtime.files import FileProblem, write_atomic
from runtime.linker import (
    CROSS_MACHINES,
    cross_compiler,
    emulator,
    has_zig,
    own_compiler,
    refused_compilers,
    way_out,
)
from runtime.user_folders import cache_folder, data_folder

PYTHON = (3, 11)
TVM = "0.27."
FFI = "0.1.14"
BAD_FFI = ("0.1.15.post1", "0.1.15.post2")
"""Releases of tvm-ffi with which `tvm.ir.save_json` crashes (apache/tvm#20094)."""
PROBE_S = 120.0
COMPILE_S = 60.0
GB = 1e9
DISK_GB = (1.0, 5.0)
MEMORY_GB = (1.0, 3.0)
"""Below the first a run fails, below the second it may."""
QUIET_LOAD = 0.5
QUIET_STEAL = 0.05


class State(StrEnum):
    """A run works; it works but something is worse for it; it does not."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, what was found, and the way out where it is not well."""

    name: str
    state: State
    found: str
    way_out: str = ""

    def __str__(self) -> str:
        return f"{self.state:<5} {self.name}: {self.found}" + (f"; {self.way_out}" if self.way_out else "")


class ProbeProblem(Exception):
    """A child process that did not answer: how it ended."""


Check = Callable[[], Iterator[Finding]]


def examine(checks: Sequence[Check] | None = None) -> tuple[Finding, ...]:
    """Every finding, in the order of `CHECKS`."""
    return tuple(finding for check in (CHECKS if checks is None else checks) for finding in check())


def healthy(findings: Sequence[Finding]) -> bool:
    """True where nothing fails: the exit code is 0, else 1."""
    return all(finding.state is not State.FAIL for finding in findings)


def to_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as `onepath doctor --format json` prints them."""
    return {"healthy": healthy(findings), "findings": [asdict(finding) for finding in findings]}


def _python() -> Iterator[Finding]:
    fits = sys.version_info[:2] >= PYTHON
    wanted = f"use Python {PYTHON[0]}.{PYTHON[1]} or later"
    yield Finding(
        "Python", State.OK if fits else State.FAIL, platform.python_version(), "" if fits else wanted
    )


def _compiler() -> Iterator[Finding]:
    """A shared library can be linked: each kernel that is tuned and each bundle needs it."""
    own = own_compiler()
    if own is None:
        yield Finding("C++ compiler", State.FAIL, "none is found", "install one (apt-get install g++)")
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "a.cc"
        source.write_text("#include <cmath>\nfloat f(float x) { return std::sqrt(x); }\n")
        name, command = " ".join(own), [*own, "-shared", "-fPIC", "-o", f"{folder}/a.so", str(source)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=COMPILE_S)
            yield Finding("C++ compiler", State.OK, name)
        except (subprocess.SubprocessError, OSError) as problem:
            way_out = "install its standard library (apt-get install g++)"
            yield Finding("C++ compiler", State.FAIL, f"{name} links no shared library ({problem})", way_out)


def _named_compilers() -> Iterator[Finding]:
    """`CXX` and `CC`, where they say what compiles nothing for this machine."""
    for variable, said, taken in refused_compilers():
        found = f"`{said}` compiles nothing for this machine; {taken} is taken"
        yield Finding(variable, State.WARN, found, f"unset {variable}")


def _cross() -> Iterator[Finding]:
    """What links for other machines, and what runs their code here: needed by cross targets alone."""
    for machine in CROSS_MACHINES:
        if machine == platform.machine():
            continue
        compiler = cross_compiler(machine) or ("Zig" if has_zig() else None)
        name = f"building for {machine}"
        if compiler is None:
            yield Finding(name, State.OK, "not possible: no compiler links for it", way_out(machine))
            continue
        runs = emulator(machine)
        way = "" if runs else "to check what is built, apt-get install qemu-user-static"
        found = f"{compiler}, " + (f"checked by {runs}" if runs else "and nothing here runs its code")
        yield Finding(name, State.OK, found, way)


def _nvrtc() -> Iterator[Finding]:
    """What compiles for NVIDIA GPUs: needed by CUDA targets alone, and no GPU is."""
    name = "building for NVIDIA GPUs"
    try:
        nvrtc.require()
        yield Finding(name, State.OK, f"NVRTC {nvrtc.version_of('nvidia-cuda-nvrtc')}")
    except nvrtc.NoNvrtc as problem:
        found, _, way = str(problem).partition("; ")
        yield Finding(name, State.WARN, f"not possible: {found}", way)


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


@cache
def probe(what: str) -> dict[str, Any]:
    """The facts that `runtime/doctor_probe.py` prints.

    Raises:
        ProbeProblem: it crashed, failed or hung.
    """
    command = [sys.executable, "-P", "-m", "runtime.doctor_probe", what]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_S, check=False)
    except subprocess.TimeoutExpired:
        raise ProbeProblem(f"gives no answer in {PROBE_S:g} s") from None
    if done.returncode < 0:
        raise ProbeProblem(f"crashes ({signal.Signals(-done.returncode).name})")
    if done.returncode:
        raise ProbeProblem(f"fails ({(done.stderr.strip().splitlines() or ['no message'])[-1]})")
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


_PIN = "pip install -c constraints.txt apache-tvm apache-tvm-ffi"


def _tvm() -> Iterator[Finding]:
    tvm, ffi = _version("apache-tvm"), _version("apache-tvm-ffi")
    if tvm is None or ffi is None:
        yield Finding("TVM", State.FAIL, "apache-tvm or apache-tvm-ffi is not installed", _PIN)
        return
    both = f"apache-tvm {tvm} with apache-tvm-ffi {ffi}"
    if ffi in BAD_FFI:
        yield Finding("TVM", State.FAIL, f"{both}, which is known to crash while tuning", _PIN)
        return
    try:
        facts = probe("tvm")
    except ProbeProblem as problem:
        yield Finding("TVM", State.FAIL, f"{both} {problem}", _PIN)
        return
    tested = tvm.startswith(TVM) and ffi.startswith(FFI)
    way_out = "" if tested else f"tested are {TVM}x with {FFI}.x: {_PIN}"
    yield Finding("TVM", State.OK if tested else State.WARN, f"{both}, LLVM {facts['llvm']}", way_out)
    yield from _processor(facts)
    yield from _noise(facts)


def _processor(facts: dict[str, Any]) -> Iterator[Finding]:
    known = bool(facts["cpu_known"])
    way_out = "" if known else 'name a processor in the target, such as cpu = "x86-64-v3"'
    found = facts["cpu"] + ("" if known else ", which LLVM does not know")
    yield Finding("processor", State.OK if known else State.WARN, found, way_out)


def _noise(facts: dict[str, Any]) -> Iterator[Finding]:
    """The load of the last minute and the time that the hypervisor gave to others."""
    cores = len(os.sched_getaffinity(0))
    loud = facts["load"] > QUIET_LOAD * cores or facts["steal"] > QUIET_STEAL
    found = f"load {facts['load']:.2f} on {cores} core(s), {facts['steal']:.0%} stolen by other machines"
    way_out = "stop other work before profiling and benchmarking; times would be too long" if loud else ""
    yield Finding("noise", State.WARN if loud else State.OK, found, way_out)


def _torch() -> Iterator[Finding]:
    found = _version("torch")
    if found is None:
        yield Finding("PyTorch", State.FAIL, "torch is not installed", "pip install -c constraints.txt torch")
        return
    try:
        facts = probe("torch")
    except ProbeProblem as problem:
        way_out = "pip install -c constraints.txt --force-reinstall torch"
        yield Finding("PyTorch", State.FAIL, f"torch {found} {problem}", way_out)
        return
    yield Finding("PyTorch", State.OK, f"torch {found}, {facts['threads']} thread(s)")
    yield from _fashion_mnist(facts["fashion_mnist"])


def _fashion_mnist(places: Sequence[str]) -> Iterator[Finding]:
    name = "Fashion-MNIST"
    if places:
        yield Finding(name, State.OK, f"it is {places[0]}")
    elif shutil.which("apt-get") and shutil.which("dpkg-deb"):
        yield Finding(name, State.OK, "not here yet; it will be fetched through apt-get")
    else:
        way_out = "it will be downloaded, or scikit-learn's digits stand in for it; or give a folder"
        yield Finding(name, State.WARN, "not here, and there is no apt-get", way_out)


def _onnxruntime() -> Iterator[Finding]:
    found = _version("onnxruntime")
    way_out = "" if found else "pip install 'onepath[peers]' to have it beside the bundle in benchmarks"
    yield Finding("ONNX Runtime", State.OK if found else State.WARN, found or "not installed", way_out)


def _graded(name: str, free: float, limits: tuple[float, float], where: str, way_out: str) -> Finding:
    state = State.FAIL if free < limits[0] else State.WARN if free < limits[1] else State.OK
    return Finding(name, state, f"{free:.1f} GB free{where}", "" if state is State.OK else way_out)


def _disk() -> Iterator[Finding]:
    for name, folder in (("disk", Path.cwd()), ("disk of the cache", user_folders()["XDG_CACHE_HOME"])):
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        free = shutil.disk_usage(existing).free / GB
        yield _graded(name, free, DISK_GB, f" at {folder}", "delete something, or use another disk")


def _memory() -> Iterator[Finding]:
    free = psutil.virtual_memory().available / GB
    yield _graded("memory", free, MEMORY_GB, "", "stop other programs, or lower the batch size")


def user_folders() -> dict[str, Path]:
    """Where data and tuning records of all runs are kept, and the variable that moves each."""
    return {
        "XDG_CACHE_HOME": cache_folder(),
        "XDG_DATA_HOME": data_folder(),
    }


def _user_folders() -> Iterator[Finding]:
    for (variable, folder), name in zip(user_folders().items(), ("cache", "records"), strict=True):
        try:
            write_atomic(folder / ".doctor", "").unlink()
            yield Finding(name, State.OK, f"{folder} can be written")
        except (FileProblem, OSError) as problem:
            way_out = f"set {variable} to a folder that can be written"
            yield Finding(name, State.FAIL, str(problem).partition(";")[0], way_out)


CHECKS: tuple[Check, ...] = (
    _python,
    _compiler,
    _named_compilers,
    _cross,
    _nvrtc,
    _tvm,
    _torch,
    _onnxruntime,
    _memory,
    _disk,
    _user_folders,
)
"""Everything that is looked at, in the order of the answer."""
