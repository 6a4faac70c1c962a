"""The standalone form on disk: C, kernels and weights that any C compiler links, checked before they are there.

<name>.h, <name>.c          the functions of the network, and the calls of its kernels on a static array
kernels.o, or kernels.c     the kernels
weights.S, weights.bin      the constants, and what makes an object of them
main.c                      an example
Makefile, CMakeLists.txt    build a library and the example
manifest.json               what it is, what it takes, how it was checked, and the SHA-256 of every other file
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compiler.codegen.c_names import check_name
from compiler.kernel import FP32_BYTES
from compiler.target import Target
from runtime.bundle import Manifest, versions, write_folder
from runtime.checked_bundle import Build, Reference
from runtime.files import read_bytes
from runtime.measure import write_standalone_files
from runtime.standalone_check import Checked, check
from runtime.standalone_folder import SCHEMA, Standalone, read_standalone, refuse_other
from runtime.targets import UnsupportedTarget

NAME = "onepath"
"""What files and functions begin with unless another name is given."""


@dataclass(frozen=True)
class Sizes:
    """Bytes that the network takes of a device; None where no compiler for it was here to tell.

    `flash` is code and constants; `ram` the variables, of which the arena is the largest, the stack that a call takes,
    the stacks of the network's own threads, and the caller's input and output.
    """

    code: int | None
    constants: int
    arena: int
    variables: int | None
    stack: int | None
    thread_stacks: int
    input: int
    output: int

    @property
    def flash(self) -> int | None:
        """What does not change while it runs."""
        return None if self.code is None else self.code + self.constants

    @property
    def ram(self) -> int | None:
        """What changes."""
        if self.variables is None or self.stack is None:
            return None
        return self.variables + self.stack + self.thread_stacks + self.input + self.output

    def describe(self) -> dict[str, int | None]:
        """All of them by name, for a manifest."""
        parts = {f"{name}_bytes": value for name, value in asdict(self).items()}
        return {"flash_bytes": self.flash, "ram_bytes": self.ram, **parts}


def write_standalone(
    folder: Path, build: Build, manifest: Manifest, reference: Reference, name: str = NAME
) -> Standalone:
    """Compile, check and write the standalone form in `folder`; an older one there is replaced, or stays as it was.

    It is run on the reference's inputs where this machine or an emulator runs it, else it says why not.

    Raises:
        BadName: files and functions cannot have the name.
        UnsupportedTarget: there is no standalone form for the target.
        WorkerFailed: it cannot be compiled.
        LinkFailed: the C compiler refuses it.
        WrongAnswers: it disagrees with the reference; nothing is written.
        FileProblem: the place cannot be written, or holds something else.
    """
    check_name(name)
    refuse_without_form(build.target)
    refuse_other(folder)
    with TemporaryDirectory(prefix="onepath-") as scratch:
        place = Path(scratch)
        facts = write_standalone_files(
            build.plan, build.weights, build.schedules, build.target, place, name, manifest.network
        )
        contents = {path.name: read_bytes(path) for path in sorted(place.iterdir())}
        checked = check(place, name, facts["kernels"], build.target, reference)
    payload = {
        **asdict(manifest),
        "name": name,
        "sizes": _sizes(facts, checked, manifest).describe(),
        "numerical_check": checked.numerical,
        "versions": {**versions(), **manifest.versions},
    }
    write_folder(folder, contents, payload, SCHEMA)
    return read_standalone(folder)


def refuse_without_form(target: Target) -> None:
    """Refuse a target that has no standalone form.

    Raises:
        UnsupportedTarget: it is a GPU, its objects are not ELF, or it is C source on several threads.
    """
    reason = None
    if target.kind == "cuda":
        reason = "its kernels run on a GPU, through TVM's runtime"
    elif "linux" not in target.triple:
        reason = f"it is {target.triple}, and the standalone form is for Linux"
    elif target.kind == "c" and target.threads > 1:
        reason = "C source runs on one thread; give it `threads = 1`"
    if reason is not None:
        raise UnsupportedTarget(f"target `{target.name}` has no standalone form: {reason}")


def _sizes(facts: Mapping[str, Any], checked: Checked, manifest: Manifest) -> Sizes:
    parts = checked.sizes
    return Sizes(
        code=None if parts is None else parts.constant + parts.data,
        constants=facts["constant_bytes"],
        arena=facts["arena_bytes"],
        variables=None if parts is None else parts.data + parts.zero,
        stack=checked.stack,
        thread_stacks=facts["thread_stacks_bytes"],
        input=FP32_BYTES * prod(manifest.input.shape),
        output=FP32_BYTES * prod(manifest.output.shape),
    )
