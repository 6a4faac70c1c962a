"""Build a standalone network with the target's C compiler and run it: here, under QEMU's emulator, or not at all."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compiler.codegen.elf import ElfObject, SectionSizes
from compiler.target import Target
from runtime.checked_bundle import Array, Reference, WrongAnswers, compared
from runtime.linker import Compiler, NoCompiler, compiler_for, emulation, is_own
from runtime.targets import cannot_run

RUN_S = 600.0
"""How long the reference's inputs may take under an emulator."""
OPTIONS = ("-std=c99", "-O2", "-Wall")


class CannotRun(Exception):
    """A program that cannot be started here; the message is the system's."""


@dataclass(frozen=True)
class Checked:
    """What building and running it showed: `numerical` is what a manifest says of it; `sizes` are those of the code
    and variables around the constants, `stack` is what a call takes, both None where they could not be found."""

    numerical: Mapping[str, Any]
    sizes: SectionSizes | None = None
    stack: int | None = None


@dataclass(frozen=True)
class Machine:
    """How programs of a target run on this machine: behind which command, and what a manifest calls it."""

    command: tuple[str, ...]
    name: str
    static: bool


def check(folder: Path, name: str, kernels: str, target: Target, reference: Reference) -> Checked:
    """Build the example in `folder`, run it on the reference's inputs and compare its outputs.

    Raises:
        LinkFailed: the C compiler refuses the files.
        WrongAnswers: the outputs differ, or it crashes.
    """
    try:
        compiler = compiler_for(target)
    except NoCompiler as problem:
        return Checked({"images": 0, "reason": f"not built here: {problem}"})
    found = machine_for(target)
    static = not isinstance(found, str) and found.static
    sizes = build_example(folder, name, kernels, compiler, static)
    if isinstance(found, str):
        return Checked({"images": 0, "reason": f"not run here: {found}"}, sizes)
    try:
        outputs = run_example(folder, found, reference.inputs, reference.outputs.shape)
        stack = int(_run(found, folder, "--stack"))
    except CannotRun as problem:
        return Checked({"images": 0, "reason": f"not run here: {problem}"}, sizes)
    return Checked({**compared(outputs, reference), "by": found.name}, sizes, stack)


def machine_for(target: Target) -> Machine | str:
    """What runs programs of the target, or why nothing does."""
    if is_own(target):
        reason = None if target.kind == "c" else cannot_run(target)
        return reason or Machine((), "this machine", static=False)
    found = emulation(target.machine)
    if found is None:
        return f"there is no emulator of {target.machine}; apt-get install qemu-user-static"
    return Machine(found, found[0].removesuffix("-static"), static=True)


def build_example(folder: Path, name: str, kernels: str, compiler: Compiler, static: bool) -> SectionSizes:
    """Build `folder/example`; the sizes of what goes into a program besides the constants.

    Raises:
        LinkFailed: the compiler refuses the files.
    """
    sources = [f"{name}.c", "main.c", *(["kernels.c"] if kernels == "kernels.c" else [])]
    for source in sources:
        made = folder / Path(source).with_suffix(".o")
        compiler.run([*OPTIONS, "-pthread", "-c", "-o", str(made), str(folder / source)])
    weights = folder / "weights.o"
    compiler.run([f"-Wa,-I{folder}", "-c", "-o", str(weights), str(folder / "weights.S")])
    objects = [str(folder / each) for each in ("main.o", f"{name}.o", "kernels.o", "weights.o")]
    options = ["-static"] if static else []
    compiler.run([*options, "-o", str(folder / "example"), *objects, "-lm", "-pthread"])
    own, code = (ElfObject((folder / each).read_bytes()).sizes for each in (f"{name}.o", "kernels.o"))
    return own + code


def run_example(folder: Path, machine: Machine, inputs: Array, shape: tuple[int, ...]) -> Array:
    """The outputs of the example in `folder`, of a `shape` with the number of inputs in front.

    Raises:
        WrongAnswers: it crashes, or writes too little.
        CannotRun: it cannot be started.
    """
    source, result = folder / "inputs.f32", folder / "outputs.f32"
    np.ascontiguousarray(inputs, dtype="<f4").tofile(source)
    _run(machine, folder, str(source), str(result))
    outputs = np.fromfile(result, dtype="<f4")
    if outputs.size != np.prod(shape):
        raise WrongAnswers(f"the compiled network wrote {outputs.size} values, not {np.prod(shape)}")
    return outputs.reshape(shape)


def _run(machine: Machine, folder: Path, *arguments: str) -> str:
    command = [*machine.command, str(folder / "example"), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=RUN_S)
    except OSError as problem:
        raise CannotRun(f"the example cannot be started ({problem})") from None
    except subprocess.TimeoutExpired:
        raise WrongAnswers(
            f"the compiled network took longer than {RUN_S:g} s; nothing was written"
        ) from None
    if done.returncode:
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        raise WrongAnswers(
            f"the compiled network ended with {how}: {done.stderr[-500:]}; nothing was written"
        )
    return done.stdout
