"""The machine code of NVIDIA GPUs inside a library: which architecture it is for, and which kernels it holds."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_ELF = b"\x7fELF\x02\x01"
_EM_CUDA = 190
_ABI_VERSION_AT, _MACHINE_AT, _FLAGS_AT, _SECTIONS_AT = 8, 18, 48, 40
_HEADER_BYTES = 64
_ABI_13 = 8
"""From CUDA 13 on the architecture stands in the second byte of the ELF flags, before that in the first."""


@dataclass(frozen=True, slots=True)
class Cubin:
    """Code for one architecture (`sm_86`), and the names of its kernels in order."""

    arch: str
    kernels: tuple[str, ...]


def cubins(library: bytes) -> tuple[Cubin, ...]:
    """Every cubin in the bytes of a library.

    A cubin is an ELF file of machine 190; its flags name the architecture, its `.text.NAME` sections the kernels
    (CUDA Binary Utilities, https://docs.nvidia.com/cuda/cuda-binary-utilities).
    """
    starts = (match.start() for match in re.finditer(re.escape(_ELF), library))
    return tuple(_read(library[start:]) for start in starts if _is_cubin(library, start))


def _is_cubin(library: bytes, start: int) -> bool:
    whole = len(library) - start >= _HEADER_BYTES
    return whole and struct.unpack_from("<H", library, start + _MACHINE_AT)[0] == _EM_CUDA


def _read(elf: bytes) -> Cubin:
    (flags,) = struct.unpack_from("<I", elf, _FLAGS_AT)
    number = flags >> 8 if elf[_ABI_VERSION_AT] >= _ABI_13 else flags
    kernels = (name.removeprefix(".text.") for name in _sections(elf) if name.startswith(".text."))
    return Cubin(f"sm_{number & 0xFF}", tuple(sorted(kernels)))


def _sections(elf: bytes) -> Iterator[str]:
    """The names of the sections."""
    (table,) = struct.unpack_from("<Q", elf, _SECTIONS_AT)
    size, count, names = struct.unpack_from("<HHH", elf, 58)
    (text,) = struct.unpack_from("<Q", elf, table + names * size + 24)
    for index in range(count):
        (place,) = struct.unpack_from("<I", elf, table + index * size)
        yield elf[text + place : elf.index(b"\0", text + place)].decode()
