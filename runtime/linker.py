"""The compiler that links for a target: the system's own, a cross compiler of the distribution, or Zig's."""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from compiler.target import Target

if TYPE_CHECKING:
    from compiler.codegen.tvm_api import Link

LINK_S = 300.0
ASK_S = 20.0
OWN = ("g++", "clang++", "c++", "gcc", "cc")
"""This machine's compilers in the order that TVM, too, asks for them."""
OWN_C = ("gcc", "clang", "cc")
_GNU = {
    "x86_64": "x86_64-linux-gnu",
    "aarch64": "aarch64-linux-gnu",
    "armv7a": "arm-linux-gnueabihf",
    "riscv64": "riscv64-linux-gnu",
}
"""Debian's names of the systems that its cross compilers build for, each the beginning of the compiler's name; Zig's
names are the same."""


CROSS_MACHINES = tuple(_GNU)
"""Machines that code is generated and linked for."""


class NoCompiler(Exception):
    """No compiler for a target is installed; the message says which would do."""


class LinkFailed(RuntimeError):
    """A compiler that failed; the message is its own."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler for a target, as the words of its command."""

    command: tuple[str, ...]

    def run(self, arguments: Sequence[str]) -> None:
        """Compile or link.

        Raises:
            LinkFailed: it failed or took too long; the message is the compiler's.
        """
        command = [*self.command, *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LINK_S)
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise LinkFailed(f"{' '.join(self.command)}: {problem}") from None
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise LinkFailed(f"{' '.join(self.command)} ended with status {done.returncode}: {said[-2000:]}")

    def share(self, output: str, objects: list[str]) -> None:
        """Link objects into a shared library."""
        self.run(["-shared", "-fPIC", "-o", output, *objects])


def compiler_for(target: Target) -> Compiler:
    """The C compiler for a target.

    Raises:
        NoCompiler: none is installed; the message says which would do.
    """
    if is_own(target):
        if own := own_c_compiler():
            return Compiler(own)
    elif cross := cross_compiler(target.machine):
        return Compiler((cross,))
    if target.machine in _GNU and has_zig():
        return Compiler((sys.executable, "-m", "ziglang", "cc", "-target", _GNU[target.machine]))
    raise NoCompiler(f"there is no C compiler for {target.triple}; {way_out(target.machine)}")


def link_for(target: Target) -> Link | None:
    """How code of a target becomes a shared library; None for this machine's own, which needs nothing special.

    Where `CXX` or `CC` is set it is not left to TVM, which takes all that it says for the name of one program.

    Raises:
        NoCompiler: no compiler for the target is installed.
    """
    if not is_own(target):
        return compiler_for(target).share
    named = os.environ.get("CXX") or os.environ.get("CC")
    own = own_compiler() if named else None
    return None if own is None else Compiler(own).share


def is_own(target: Target) -> bool:
    """Whether a target is of this machine's family and system."""
    return target.machine == platform.machine() and ("linux" in target.triple) == sys.platform.startswith(
        "linux"
    )


def own_compiler() -> tuple[str, ...] | None:
    """This machine's C++ compiler, as the words of its command; None where it is missing.

    It is what `CXX` says (`ccache g++`), where that is installed and compiles for this machine, else the first of
    `OWN`: one that is exported to build for another machine is no compiler of this one's.
    """
    return _own("CXX", OWN)


def own_c_compiler() -> tuple[str, ...] | None:
    """This machine's C compiler, as `own_compiler`: what `CC` says, else the first of `OWN_C`."""
    return _own("CC", OWN_C)


def _own(variable: str, usual: Sequence[str]) -> tuple[str, ...] | None:
    named = _words(os.environ.get(variable, ""))
    if named and shutil.which(named[0]) and _compiles_for(named) in (None, platform.machine()):
        return named
    found = next(filter(shutil.which, usual), None)
    return None if found is None else (found,)


def refused_compilers() -> Iterator[tuple[str, str, str]]:
    """Each of `CXX` and `CC` whose compiler is not taken for this machine's: its name, what it says, what is taken."""
    for variable, taken in (("CXX", own_compiler()), ("CC", own_c_compiler())):
        said = os.environ.get(variable, "").strip()
        if said and taken != _words(said):
            yield variable, said, " ".join(taken or ("none",))


def _words(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError:  # a quotation mark that is not closed
        return ()


@lru_cache
def _compiles_for(command: tuple[str, ...]) -> str | None:
    """The machine that a compiler compiles for; None where it does not say, as GCC and Clang do."""
    try:
        done = subprocess.run(
            [*command, "-dumpmachine"], capture_output=True, text=True, check=False, timeout=ASK_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    machine = done.stdout.strip().partition("-")[0]
    return machine if machine and not done.returncode else None


def cross_compiler(machine: str, names: Sequence[str] = ("gcc", "g++")) -> str | None:
    """The distribution's cross compiler for a machine, where it is installed: the first of these that is."""
    prefix = _GNU.get(machine)
    found = [f"{prefix}-{name}" for name in names] if prefix else []
    return next((name for name in found if shutil.which(name)), None)


def usual_compiler(target: Target) -> str:
    """What a C compiler for a target is mostly called: Debian's cross compiler, of C source any."""
    return "cc" if target.kind == "c" else f"{_GNU.get(target.machine, target.machine)}-gcc"


def emulator(machine: str) -> str | None:
    """QEMU's user-mode emulator of a machine, where it is installed."""
    name = "arm" if machine.startswith("arm") else machine
    found = [f"qemu-{name}-static", f"qemu-{name}"]
    return next((each for each in found if shutil.which(each)), None)


def emulation(machine: str) -> tuple[str, ...] | None:
    """The command that runs a machine's programs with all that its processors may have; None where nothing does."""
    found = emulator(machine)
    return None if found is None else (found, "-cpu", _PROCESSORS.get(machine, "max"))


_PROCESSORS = {"riscv64": "rv64,v=true,vext_spec=v1.0"}
"""QEMU's names of processors with vectors, where `max` is none before QEMU 8.2."""


def sysroot(machine: str) -> str:
    """Where the distribution keeps a machine's C library, for its emulator."""
    return f"/usr/{_GNU[machine]}"


def has_zig() -> bool:
    """Whether Zig's compiler is installed as a Python package."""
    return importlib.util.find_spec("ziglang") is not None


def way_out(machine: str) -> str:
    """What to install to link for a machine."""
    debian = f"apt-get install g++-{_GNU.get(machine, machine)}"
    return f"install one ({debian}), or without root `pip install 'onepath[cross]'`, which brings Zig's"
