"""The standalone form of a network: plain C that calls its kernels in order on one static array.

The kernels come as an object file or as C; from here come the header, the calls, an example, and what builds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from compiler.codegen.arrangement import Place
from compiler.codegen.rendering import render
from compiler.codegen.schedules.layout import LAYOUTS
from compiler.codegen.static_network import COPY, Call, Constants, StaticNetwork
from compiler.kernel import FP32_BYTES

STACK_BYTES = 256 * 1024
"""The stack of a thread that is started; kernels keep registers there, a few KiB."""
MOST_CALLS = 10000
HUGE_PAGE_BYTES = 2 << 20
"""Of Linux on `HUGE_PAGE_MACHINES` with pages of 4 KiB."""
HUGE_PAGE_MACHINES = ("x86_64", "aarch64", "riscv64")
RUNTIME: Mapping[str, tuple[str, tuple[str, str]]] = {
    "TVMBackendAllocWorkspace": ("allocate", ("void *", "(int, int, uint64_t, int, int)")),
    "TVMBackendFreeWorkspace": ("release", ("int ", "(int, int, void *)")),
    "TVMBackendParallelLaunch": ("launch", ("int ", "(Task, void *, int)")),
}
"""What kernels ask of TVM's runtime: what it is called here, and its type in C."""
POINTER = "__"
"""Kernels in an object file reach the runtime through pointers whose names have this before the function's."""
_HOMES = {"input": "given", "output": "output", "workspace": "arena"}


@dataclass(frozen=True)
class Function:
    """A function as C declares it."""

    name: str
    parameters: str


@dataclass(frozen=True)
class Statement:
    """A line of C and what it computes."""

    text: str
    about: str


@dataclass(frozen=True)
class RuntimeFunction:
    """A function of the runtime as it is called here, and its type in C: what stands before the name and behind it."""

    name: str
    type: tuple[str, str]


@dataclass(frozen=True)
class View:
    """All that the templates show."""

    name: str
    title: str
    target: str
    compiler: str
    threads: int
    kernels: Literal["kernels.o", "kernels.c"]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    input_layout: str
    output_layout: str
    workspace: int
    scratch: int
    constants: int
    functions: tuple[Function, ...]
    calls: tuple[Statement, ...]
    uses: frozenset[str]
    huge_pages: bool
    stack_bytes: int = STACK_BYTES
    most_calls: int = MOST_CALLS
    huge_page_bytes: int = HUGE_PAGE_BYTES

    @property
    def macro(self) -> str:
        """What macros begin with."""
        return self.name.upper()

    @property
    def input_size(self) -> int:
        """fp32 values of the input."""
        return prod(self.input_shape)

    @property
    def output_size(self) -> int:
        """fp32 values of the output."""
        return prod(self.output_shape)

    @property
    def uses_threads(self) -> bool:
        """Whether kernels launch tasks, on several threads."""
        return "launch" in self.uses

    @property
    def thread_stacks_bytes(self) -> int:
        """The stacks of the threads that it starts."""
        return self.stack_bytes * (self.threads - 1)

    @property
    def uses_scratch(self) -> bool:
        """Whether kernels take memory of their own."""
        return "allocate" in self.uses

    @property
    def uses_huge_pages(self) -> bool:
        """Whether the system has them, and the workspace fills one."""
        return self.huge_pages and FP32_BYTES * self.workspace >= self.huge_page_bytes

    @property
    def arena_bytes(self) -> int:
        """The workspace and the scratch of all threads."""
        per_thread = self.scratch if self.uses_scratch else 0
        return FP32_BYTES * self.workspace + per_thread * self.threads

    @property
    def is_c(self) -> bool:
        """Whether kernels are C, which calls the runtime's functions; those in an object file go through pointers."""
        return self.kernels == "kernels.c"

    @property
    def runtime(self) -> tuple[RuntimeFunction, ...]:
        """The runtime's functions that kernels call."""
        return tuple(RuntimeFunction(name, kind) for name, kind in RUNTIME.values() if name in self.uses)


def view_of(
    network: StaticNetwork,
    name: str,
    *,
    title: str,
    target: str,
    compiler: str,
    threads: int,
    kernels: Literal["kernels.o", "kernels.c"],
    uses: frozenset[str],
    huge_pages: bool,
) -> View:
    """What the files of a network show.

    `uses` are the functions of the runtime that its kernels call, as they are called here. Where none of them launches
    threads, there are none. `huge_pages` is whether the target's system may have them.
    """
    return View(
        name=name,
        title=_comment(title),
        target=_comment(target),
        compiler=compiler,
        threads=threads if "launch" in uses else 1,
        kernels=kernels,
        input_shape=(1, *network.input),
        output_shape=(1, *network.output),
        input_layout=LAYOUTS[len(network.input)],
        output_layout=LAYOUTS[len(network.output)],
        workspace=network.workspace,
        scratch=network.scratch,
        constants=network.constants.size,
        functions=_functions(network),
        calls=tuple(Statement(_text(call), _comment(call.about)) for call in network.calls),
        uses=uses,
        huge_pages=huge_pages,
    )


def _functions(network: StaticNetwork) -> tuple[Function, ...]:
    """The kernels as C declares them, each once."""
    arities = {call.function: len(call.inputs) for call in network.calls if call.function != COPY}
    return tuple(Function(symbol, ", ".join(["float *"] * (arity + 1))) for symbol, arity in arities.items())


def _comment(text: str) -> str:
    """The text as a comment of C can hold it."""
    return text.replace("*/", "* /").replace("/*", "/ *").replace("\n", " ")


def _text(call: Call) -> str:
    arguments = [_address(value) for value in (*call.inputs, call.output)]
    if call.function == COPY:
        source, result = arguments
        return f"memcpy({result}, {source}, {FP32_BYTES * call.copied});"
    return f"if ({call.function}({', '.join(arguments)}) != 0) return -1;"


def _address(value: Place | Constants) -> str:
    home = "weights" if isinstance(value, Constants) else _HOMES[value.home]
    return f"{home} + {value.offset}" if value.offset else home


def files(view: View) -> dict[str, str]:
    """The text files of the standalone form by name, all but C kernels."""
    templates = {
        f"{view.name}.h": "header.h.j2",
        f"{view.name}.c": "network.c.j2",
        **{name: f"{name}.j2" for name in ("main.c", "weights.S", "Makefile", "CMakeLists.txt")},
    }
    return {name: render(f"standalone/{found}", view) for name, found in templates.items()}


def runtime_uses(names: set[str]) -> frozenset[str]:
    """The functions of the runtime among the names that kernels refer to.

    Raises:
        ValueError: one of TVM's is not among those that there are.
    """
    asked = {name.removeprefix(POINTER) for name in names if name.removeprefix(POINTER).startswith("TVM")}
    unknown = sorted(asked - RUNTIME.keys())
    if unknown:
        raise ValueError(f"the kernels call {', '.join(unknown)}, which the standalone form does not have")
    return frozenset(RUNTIME[name][0] for name in asked)


def own_symbol(name: str, symbol: str) -> str:
    """A symbol of an object file under the network's name: pointers to the runtime's functions become its own."""
    found = RUNTIME.get(symbol.removeprefix(POINTER))
    return symbol if found is None else f"{name}_{found[0]}_pointer"
