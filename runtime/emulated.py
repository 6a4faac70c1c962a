"""The answers of a bundle for another machine: its own C++ runner, built for that machine and run under QEMU."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from compiler.target import Target
from runtime import device
from runtime.bench_contender import BenchProblem
from runtime.bundle import Bundle
from runtime.linker import Compiler, LinkFailed, cross_compiler, emulator, sysroot

Array = np.ndarray[Any, Any]
BUILD = ("-std=c++17", "-O1", "-ffp-contract=off")
"""The runner is built once for one run: most of its time is that of the network, which was compiled before."""
RUN_S = 1800.0
"""How long all inputs may take; emulation is 10 to 100 times slower than the machine."""
LACKS = "this processor lacks"
"""What the runner says where the processor, here the emulated one, has not all that the code uses."""


class NotEmulated(Exception):
    """Code cannot be run under emulation here, or not in time; the message says why."""


@dataclass(frozen=True, slots=True)
class Emulator:
    """A machine's C++ compiler, and QEMU's user-mode emulator with that machine's C library."""

    compiler: str
    program: str
    sysroot: str

    @property
    def name(self) -> str:
        """The emulator's name without how it was linked: `qemu-aarch64`."""
        return self.program.removesuffix("-static")


def emulator_for(target: Target) -> Emulator:
    """What runs code of another machine's processor here.

    Raises:
        NotEmulated: nothing does; the message says what to install, where that would help.
    """
    machine = target.machine
    if target.kind != "llvm" or "linux" not in target.triple or machine == platform.machine():
        raise NotEmulated("nothing emulates it here")
    compiler, program = cross_compiler(machine, ("g++",)), emulator(machine)
    if compiler is None or program is None:
        missing = f"a C++ compiler for {machine}" if compiler is None else "an emulator (qemu-user-static)"
        raise NotEmulated(f"to check it under emulation, install {missing}")
    return Emulator(compiler, program, sysroot(machine))


def emulated_answers(bundle: Bundle, emulator: Emulator, inputs: Array) -> Array:
    """The outputs `[N, …]` of a bundle for `inputs` `[N, …]`, float32, from the runner that it carries.

    Raises:
        NotEmulated: the emulated processor lacks what the code uses, or it takes longer than `RUN_S`.
        BenchProblem: the runner cannot be built, or refuses the bundle, or crashes.
    """
    with TemporaryDirectory(prefix="onepath-") as scratch:
        runner, given, taken = (Path(scratch) / name for name in ("runner", "inputs.npy", "outputs.npy"))
        try:
            source = str(bundle.folder / "cpp" / "runner.cpp")
            Compiler((emulator.compiler,)).run([*BUILD, source, "-o", str(runner), "-ldl"])
        except LinkFailed as problem:
            raise BenchProblem(f"the bundle's runner cannot be built: {problem}") from None
        np.save(given, inputs)
        threads = min(bundle.manifest.target.threads, len(device.cores()))
        _run(
            emulator,
            [str(runner), f"--bundle={bundle.folder}", f"--threads={threads}", str(given), f"--out={taken}"],
        )
        outputs: Array = np.load(taken)
        return outputs


def _run(emulator: Emulator, command: list[str]) -> None:
    """Run a program under the emulator, whose crash is the program's."""
    words = [shutil.which(emulator.program) or emulator.program, "-L", emulator.sysroot, *command]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LD_", "QEMU_"))}
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=RUN_S,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise NotEmulated(f"under {emulator.name} it takes longer than {RUN_S:g} s") from None
    said = (done.stderr.strip().splitlines() or ["it does not say why"])[-1].removeprefix("error: ")
    if done.returncode and LACKS in said:
        raise NotEmulated(f"under {emulator.name}: {said}")
    if done.returncode:
        raise BenchProblem(f"the bundle fails under {emulator.name} (status {done.returncode}): {said}")
