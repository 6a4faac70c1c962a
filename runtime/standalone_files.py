"""The files of a network without TVM's runtime, as the compiler makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from compiler.codegen import tvm_api
from compiler.codegen.elf import ElfObject
from compiler.codegen.plain_c import plain_c
from compiler.codegen.static_network import StaticNetwork
from compiler.codegen.to_c import HUGE_PAGE_MACHINES, View, files, own_symbol, runtime_uses, view_of
from compiler.target import Target
from runtime.linker import usual_compiler

Kernels = Literal["kernels.o", "kernels.c"]


def write_files(network: StaticNetwork, target: Target, folder: Path, name: str, title: str) -> View:
    """Write kernels, weights and the C around them into `folder`; what was written, as the templates see it.

    Raises:
        NotAnObject: the target's object files are not ELF.
        ValueError: the kernels ask for what the standalone form does not have.
    """
    kernels, uses = _write_kernels(network, target, folder, name)
    view = view_of(
        network,
        name,
        title=title,
        target=f"{target.name} ({target.triple})",
        compiler=usual_compiler(target),
        threads=target.threads,
        kernels=kernels,
        uses=uses,
        huge_pages=target.machine in HUGE_PAGE_MACHINES,
    )
    for file, text in files(view).items():
        (folder / file).write_text(text, encoding="utf-8")
    (folder / "weights.bin").write_bytes(network.constants.astype("<f4").tobytes())
    return view


def _write_kernels(
    network: StaticNetwork, target: Target, folder: Path, name: str
) -> tuple[Kernels, frozenset[str]]:
    """The file they are in, and the functions of the runtime that they call."""
    if target.kind == "c":
        text, uses = plain_c(tvm_api.c_source(dict(network.functions)), name)
        (folder / "kernels.c").write_text(text, encoding="utf-8")
        return "kernels.c", uses
    path = folder / "kernels.o"
    tvm_api.object_file(dict(network.functions), target, str(path))
    made = ElfObject(path.read_bytes())
    path.write_bytes(made.renamed(lambda symbol: own_symbol(name, symbol)))
    return "kernels.o", runtime_uses({symbol.name for symbol in made.symbols()})
