"""A target: what code is generated for, as data. Finding out about a machine is `runtime/device.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

FLOAT_BITS = 32
Kind = Literal["llvm", "c", "cuda"]
"""Machine code of a processor, C source, code of an NVIDIA GPU."""


@dataclass(frozen=True, slots=True)
class Target:
    """A processor as the code generator sees it.

    `cpu` and `triple` are LLVM's names, `features` LLVM's feature switches (`+avx512f`), `abi` its name of the
    calling convention where a triple leaves that open. `vector_bits` and `registers` are the width and the number
    of the vector registers, `l1_bytes` and `l2_bytes` the data caches of one core; `threads` is how many threads
    the generated code uses. `arch` is the GPU's architecture (`sm_86`) where the kind is `cuda`; then the
    processor is the host's.
    """

    name: str
    cpu: str
    triple: str
    kind: Kind = "llvm"
    features: tuple[str, ...] = ()
    threads: int = 1
    vector_bits: int = 128
    registers: int = 16
    l1_bytes: int = 32 * 1024
    l2_bytes: int = 512 * 1024
    abi: str = ""
    arch: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            kinds = ", ".join(get_args(Kind))
            raise ValueError(f"target `{self.name}`: no kind {self.kind!r} is known; there are {kinds}")
        if self.threads < 1:
            raise ValueError(f"target `{self.name}`: threads is {self.threads}, and must be at least 1")
        if self.vector_bits < FLOAT_BITS or self.vector_bits & (self.vector_bits - 1):
            raise ValueError(f"target `{self.name}`: vector_bits is {self.vector_bits}, not a power of two")

    @property
    def lanes(self) -> int:
        """fp32 values in one vector register."""
        return self.vector_bits // FLOAT_BITS

    @property
    def machine(self) -> str:
        """The family of processors, as the system names it: `x86_64`, `aarch64`."""
        return self.triple.partition("-")[0]

    @property
    def key(self) -> str:
        """The canonical text under which tuning records are kept: what changes the generated code.

        LLVM's names of processors tell one family from another, but for the generic ones.
        """
        fields = {
            "kind": self.kind,
            "cpu": self.cpu,
            "features": list(self.features),
            "threads": self.threads,
        }
        if self.cpu == "generic":
            fields["triple"] = self.triple
        if self.arch:
            fields["arch"] = self.arch
        return json.dumps(fields)

    def to_json(self) -> dict[str, object]:
        """All fields by name, as JSON has them."""
        return {**asdict(self), "features": list(self.features)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Target:
        """The target of `to_json`.

        Raises:
            TypeError, ValueError, KeyError: the fields are not those of a target.
        """
        return cls(**{**fields, "features": tuple(fields["features"])})
