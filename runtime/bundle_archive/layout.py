"""What a packed bundle looks like, byte by byte: one form, so that the same bundle gives the same archive.

A gzip file of one member with a fixed header; in it a tar archive in the format of POSIX.1-1988 (`ustar`): the
files of the bundle alone, below `bundle/`, the manifest first, then what it does not list, then what it lists, by
name. All headers have mode, owner and time fixed, and two blocks of zeros end it.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable

from runtime.bundle_runner.manifest import MANIFEST, UNLISTED

TOP = "bundle/"
"""The folder that the files lie in, for those who open the archive with another program."""
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""No name, no time, an unknown system (RFC 1952)."""
END = bytes(2 * tarfile.BLOCKSIZE)
FREE_BYTES, RATIO = 64 << 20, 100
"""An archive may unpack to the first, and to this many times its own size beyond that. Weights shrink by a tenth;
what is mostly zeros shrinks by up to a thousand times, and is a bomb."""


def tar_header(name: str, size: int) -> bytes:
    """The block before a file of the bundle."""
    info = tarfile.TarInfo(TOP + name)
    info.size, info.mode = size, 0o755 if name.endswith(".so") else 0o644
    return info.tobuf(tarfile.USTAR_FORMAT)


def padding(size: int) -> bytes:
    """What fills the last block of a file."""
    return bytes(-size % tarfile.BLOCKSIZE)


def order(files: Iterable[str]) -> list[str]:
    """The names that an archive may hold, in their order."""
    return [MANIFEST, *UNLISTED, *sorted(files)]


def unpacked_cap_bytes(packed_bytes: int) -> int:
    """How much an archive of a size may unpack to."""
    return FREE_BYTES + RATIO * packed_bytes
