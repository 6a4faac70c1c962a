"""The only importer of TVM names: whatever moves between releases is mended here.

TVM 0.27 (https://tvm.apache.org/docs/reference/api/python/): `tvm.tirx` and `tvm.s_tir` were `tvm.tir`, a
target is a dictionary, buffers are variables and parameters of a function themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tvm
from tvm import ir, relax, te, tirx, topi
from tvm.target import codegen as llvm
from tvm.tirx import compilation_pipeline
from tvm.tirx import stmt as statements
from tvm.tirx import transform as passes

from compiler.target import Target

__all__ = [
    "Array",
    "Expr",
    "Statement",
    "array",
    "build",
    "build_cuda",
    "build_default",
    "c_source",
    "cpu",
    "export",
    "has_cuda_modules",
    "ir",
    "known_features",
    "known_processors",
    "load_library",
    "load_main",
    "lower_relax",
    "main_of",
    "object_file",
    "processor_features",
    "relax",
    "start_threads",
    "statements",
    "system_processor",
    "te",
    "tirx",
    "topi",
    "tvm_target",
    "version",
]

Expr = Any
"""An expression of TIR, or a Python number where TIR folds it."""

Statement = Any
"""A statement of TIR."""

Array = Any
"""A tensor of TVM's runtime."""

PIPELINE = "onepath"
"""Our lowering of TIR: the kernels come unrolled and vectorised, so TVM's own rewriting only costs time,
and its compaction of buffers is wrong for a workspace that is reached through addresses."""

PLAIN_PIPELINE = "onepath_plain"
"""The same for functions of the plain C calling convention alone: none becomes an entry of TVM's own."""

OPTIMIZATION = 1
"""LLVM's level for our kernels: they come out as fast as at level 3, which takes twice as long, because
the templates write vectors and unrolled loops themselves."""


def version() -> str:
    """The release of TVM, part of a tuning record's key."""
    return str(tvm.__version__)


def llvm_version() -> str:
    """The major release of the LLVM that TVM was built with."""
    return str(llvm.llvm_version_major())


_ARM_WRONG = ("-arm-load-store-opt",)
"""What LLVM, as TVM 0.27 has it, is not to do for 32-bit Arm. Its optimiser of loads makes one of a vector's first
value and three of those behind it, and reads them from where the address stood before a load that had moved it
(`vldmia r0!`)."""


def tvm_target(target: Target, level: int = OPTIMIZATION) -> Any:
    """The processor of a target as TVM takes it; the triple is always set, since the default is a conda triple."""
    fields: dict[str, Any] = {
        "kind": "llvm",
        "mcpu": target.cpu,
        "mtriple": target.triple,
        "num-cores": target.threads,
        "opt-level": level,
    }
    if target.features:
        fields["mattr"] = list(target.features)
    if target.abi:
        fields["mabi"] = target.abi
    if target.machine.startswith("arm"):
        fields["cl-opt"] = [f"{option}:bool=false" for option in _ARM_WRONG]
    return tvm.target.Target(fields)


def known_processors(triple: str) -> list[str]:
    """LLVM's names of the processors of a triple, whose first part it must know: LLVM crashes of another."""
    target = tvm.target.Target({"kind": "llvm", "mtriple": triple})
    return [str(name) for name in llvm.llvm_get_cpu_archlist(target)]


def known_features(triple: str) -> frozenset[str]:
    """LLVM's names of the features that some processor of a triple has."""
    return frozenset().union(*(processor_features(cpu, triple) for cpu in known_processors(triple)))


def processor_features(cpu: str, triple: str) -> frozenset[str]:
    """LLVM's names of the features that a processor has."""
    target = tvm.target.Target({"kind": "llvm", "mtriple": triple, "mcpu": cpu})
    return frozenset(str(name) for name in llvm.llvm_get_cpu_features(target))


def system_processor() -> str:
    """LLVM's name of the processor this runs on."""
    return str(llvm.llvm_get_system_cpu())


def cpu() -> Any:
    """The device that host tensors live on."""
    return tvm.cpu()


def array(value: np.ndarray[Any, Any]) -> Array:
    """The value as a tensor of TVM's runtime (64-byte aligned, copied)."""
    return tvm.runtime.tensor(value)


def start_threads(count: int) -> None:
    """Start the threads that parallel loops run on, `count` with this one, instead of at the first such loop."""
    any_core = 1  # `kBig` of tvm/runtime/threading_backend.h
    tvm.get_global_func("runtime.config_threadpool")(any_core, count)


def _finalize() -> Any:
    return tvm.ir.transform.Sequential([passes.LowerTVMBuiltin(), passes.LowerIntrin()])


def _pipeline() -> tuple[Any, Any, Any]:
    lower = tvm.ir.transform.Sequential(
        [
            passes.FlattenBuffer(),
            passes.AnnotateEntryFunc(),
            passes.SplitHostDevice(),
            passes.MakePackedAPI(),
        ]
    )
    return lower, _finalize, _finalize


def _plain_pipeline() -> tuple[Any, Any, Any]:
    return tvm.ir.transform.Sequential([passes.FlattenBuffer()]), _finalize, _finalize


compilation_pipeline.register_tir_pipeline(PIPELINE, _pipeline)
compilation_pipeline.register_tir_pipeline(PLAIN_PIPELINE, _plain_pipeline)


def build(functions: dict[Any, Any], target: Target) -> Any:
    """Compile TIR functions (global variable or name -> function) into a module that runs in this process."""
    return tvm.compile(tvm.IRModule(functions), target=tvm_target(target), tir_pipeline=PIPELINE)


def object_file(functions: dict[Any, Any], target: Target, path: str) -> None:
    """Compile TIR functions of the plain C calling convention into an object file of the target."""
    _plain(functions, tvm_target(target)).write_to_file(path, "o")


def c_source(functions: dict[Any, Any]) -> str:
    """TIR functions of the plain C calling convention as C, behind includes of TVM's own headers."""
    return str(_plain(functions, tvm.target.Target({"kind": "c"})).inspect_source())


def _plain(functions: dict[Any, Any], target: Any) -> Any:
    return tvm.compile(tvm.IRModule(functions), target=target, tir_pipeline=PLAIN_PIPELINE).mod


def lower_relax(module: Any, target: Target) -> Any:
    """Compile a Relax module without operators, just calls of TIR functions, for its virtual machine."""
    transform = relax.transform
    pipeline = tvm.transform.Sequential(
        [
            transform.ToNonDataflow(),
            transform.RemovePurityChecking(),
            transform.CallTIRRewrite(),
            transform.LowerAllocTensor(),
            transform.KillAfterLastUse(),
            transform.LowerRuntimeBuiltin(),
            transform.ComputePrimValue(),
            transform.VMShapeLower(),
            transform.AttachGlobalSymbol(),
        ]
    )
    return relax.build(module, tvm_target(target), relax_pipeline=pipeline, tir_pipeline=PIPELINE)


def build_default(module: Any, target: Target) -> Any:
    """Compile a Relax module as TVM does by default, at LLVM's default level: the point of comparison."""
    return tvm.compile(module, target=tvm_target(target, 3))


def has_cuda_modules() -> bool:
    """Whether TVM's CUDA runtime is loaded, without which a module keeps CUDA source instead of machine code."""
    return tvm.get_global_func("ffi.Module.create.cuda", allow_missing=True) is not None


def build_cuda(module: Any, target: Target, headers: Sequence[str]) -> Any:
    """Compile a Relax module of operators for the GPU of a target, by TVM's default pipeline for CUDA.

    That legalises, fuses and gives each kernel one of its default GPU schedules (dlight's Matmul, GEMV,
    Reduction, GeneralReduction, Fallback); NVRTC compiles them, with `headers` among its folders of headers.

    Raises:
        RuntimeError: NVRTC refuses the source; the message is its own.
    """
    from tvm.support import nvcc

    def compile_source(source: str) -> Any:
        options = [f"-I{folder}" for folder in headers]
        return nvcc.compile_cuda(source, "cubin", target.arch, options, compiler="nvrtc")

    tvm.register_global_func("tvm_callback_cuda_compile", compile_source, override=True)
    gpu = tvm.target.Target({"kind": "cuda", "arch": target.arch}, host=tvm_target(target))
    return tvm.compile(module, target=gpu)


def load_library(path: str) -> Any:
    """A shared library that `export` wrote, loaded."""
    return tvm.runtime.load_module(path)


def load_main(path: str) -> Any:
    """The `main` of an exported Relax module, loaded into TVM's virtual machine."""
    return relax.VirtualMachine(tvm.runtime.load_module(path), tvm.cpu())["main"]


def main_of(executable: Any) -> Any:
    """The `main` of a compiled Relax module, in this process."""
    return relax.VirtualMachine(executable, tvm.cpu())["main"]


Link = Callable[[str, list[str]], None]
"""Makes a shared library, the first argument, of object files."""


def export(executable: Any, path: str, link: Link | None = None) -> None:
    """Link a compiled module into a shared library, by the system's own C++ compiler unless told otherwise.

    Raises:
        RuntimeError: there is no compiler, or it fails; the message is the compiler's.
    """
    if link is None:
        executable.export_library(path)
        return

    def make(output: str, objects: list[str], **_: Any) -> None:
        link(output, list(objects))

    executable.export_library(path, fcompile=make)
