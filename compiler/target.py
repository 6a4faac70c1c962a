"""A target: what code is generated for, as data. Finding out about a machine is `runtime/device.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FLOAT_BITS = 32


@dataclass(frozen=True, slots=True)
class Target:
    """A processor as the code generator sees it.

    `cpu` and `triple` are LLVM's names, `features` LLVM's feature switches (`+avx512f`), `vector_bits` and
    `registers` the width and the number of its vector registers, `l1_bytes` and `l2_bytes` the data
    caches of one core, `threads` how many threads the generated code uses.
    """

    name: str
    cpu: str
    triple: str
    kind: str = "llvm"
    features: tuple[str, ...] = ()
    threads: int = 1
    vector_bits: int = 128
    registers: int = 16
    l1_bytes: int = 32 * 1024
    l2_bytes: int = 512 * 1024

    def __post_init__(self) -> None:
        if self.kind != "llvm":
            raise ValueError(f"target `{self.name}`: kind {self.kind!r} is not supported yet; use 'llvm'")
        if self.threads < 1:
            raise ValueError(f"target `{self.name}`: threads is {self.threads}, and must be at least 1")
        if self.vector_bits < FLOAT_BITS or self.vector_bits & (self.vector_bits - 1):
            raise ValueError(f"target `{self.name}`: vector_bits is {self.vector_bits}, not a power of two")

    @property
    def lanes(self) -> int:
        """fp32 values in one vector register."""
        return self.vector_bits // FLOAT_BITS

    @property
    def key(self) -> str:
        """The canonical text under which tuning records are kept: what changes the generated code."""
        return json.dumps(
            {"kind": self.kind, "cpu": self.cpu, "features": list(self.features), "threads": self.threads}
        )

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
