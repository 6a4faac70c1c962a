"""What code of a target needs of a processor, as LLVM says it and as Linux does."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.target import Target

LINUX_FLAGS: Mapping[str, str] = {
    "sse3": "pni", "ssse3": "ssse3", "sse4.1": "sse4_1", "sse4.2": "sse4_2", "sse4a": "sse4a", "popcnt": "popcnt",
    "avx": "avx", "avx2": "avx2", "fma": "fma", "f16c": "f16c", "bmi": "bmi1", "bmi2": "bmi2", "lzcnt": "abm",
    "movbe": "movbe", "adx": "adx", "gfni": "gfni", "vaes": "vaes", "vpclmulqdq": "vpclmulqdq",
    "avxvnni": "avx_vnni", "avx512f": "avx512f", "avx512bw": "avx512bw", "avx512cd": "avx512cd",
    "avx512dq": "avx512dq", "avx512vl": "avx512vl", "avx512bf16": "avx512_bf16", "avx512fp16": "avx512_fp16",
    "avx512vnni": "avx512_vnni", "avx512vbmi": "avx512vbmi", "avx512vbmi2": "avx512_vbmi2",
    "avx512bitalg": "avx512_bitalg", "avx512ifma": "avx512ifma", "avx512vpopcntdq": "avx512_vpopcntdq",
    "neon": "asimd", "dotprod": "asimddp", "fullfp16": "asimdhp", "sve": "sve", "sve2": "sve2", "bf16": "bf16",
    "i8mm": "i8mm", "lse": "atomics",
}  # fmt: skip
"""Linux's names of the features that LLVM may use in generated code, by LLVM's names."""


def features_of(target: Target) -> frozenset[str]:
    """LLVM's names of the features that the code of a target may use: its processor's, as its switches change them."""
    from compiler.codegen.tvm_api import processor_features

    on = {name[1:] for name in target.features if name.startswith("+")}
    off = {name[1:] for name in target.features if name.startswith("-")}
    return (processor_features(target.cpu, target.triple) | on) - off


def needed_flags(target: Target) -> frozenset[str]:
    """The processor flags that code of a target needs, as Linux names them; none of C source."""
    if target.kind == "c":
        return frozenset()
    return frozenset(LINUX_FLAGS[name] for name in features_of(target) if name in LINUX_FLAGS)
