"""Read a packed bundle as from a stranger: only the form that `pack` writes is understood, and no byte too many."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from runtime.bundle_archive.layout import (
    END,
    GZIP_HEADER,
    TOP,
    padding,
    tar_header,
    unpacked_cap_bytes,
)
from runtime.bundle_runner.manifest import TOTAL_CAP_BYTES
from runtime.files import FileProblem

CHUNK_BYTES = 1 << 20
WAY_OUT = "get it again from whoever packed it; nothing was loaded"
TYPES = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.DIRTYPE: "a folder by itself",
    tarfile.FIFOTYPE: "a FIFO",
    tarfile.CONTTYPE: "a contiguous file",
    tarfile.GNUTYPE_LONGNAME: "a name too long",
    tarfile.GNUTYPE_LONGLINK: "a link with a name too long",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
    tarfile.XHDTYPE: "an extended header",
    tarfile.XGLTYPE: "an extended header",
    tarfile.SOLARIS_XHDTYPE: "an extended header",
}
"""What a tar archive may hold and a packed bundle may not, by the type in the header."""


class Archive:
    """A packed bundle that is being read, from its begin to its end."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        """`size` is the file's: how far it may unpack depends on it.

        Raises:
            FileProblem: it does not begin as a packed bundle does.
        """
        self._path, self._file, self._left = path, file, unpacked_cap_bytes(size)
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._waiting = file.read(len(GZIP_HEADER))
        if self._waiting != GZIP_HEADER:
            raise FileProblem(path, "is no bundle that `onepath bundle pack` packed", "name such a file")

    def files(self) -> Iterator[tuple[str, int]]:
        """The name and size of each file, before its content is read; then the end is checked.

        Raises:
            FileProblem: something is no plain file of a bundle, or the archive is damaged, or goes on after its end.
        """
        while True:
            block = self._read(tarfile.BLOCKSIZE)
            if block == END[: tarfile.BLOCKSIZE]:
                break
            yield self._header(block)
        if self._read(tarfile.BLOCKSIZE) != END[tarfile.BLOCKSIZE :]:
            raise self.refusal("is damaged: it does not end as an archive does")
        self._finish()

    def content(self, size: int) -> bytes:
        """The content of the file whose header was read last."""
        data = self._read(size)
        if any(self._read(len(padding(size)))):
            raise self.refusal("is damaged: something stands between its files")
        return data

    def refusal(self, what: str) -> FileProblem:
        """A problem of this file."""
        return FileProblem(self._path, what, WAY_OUT)

    def _header(self, block: bytes) -> tuple[str, int]:
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError, OverflowError) as problem:
            raise self.refusal(f"is damaged: a header cannot be read ({problem})") from None
        named = repr(info.name[:100])
        if info.type in TYPES:
            raise self.refusal(f"holds {TYPES[info.type]}, {named}, which no bundle does")
        name = info.name.removeprefix(TOP)
        if not 0 <= info.size <= TOTAL_CAP_BYTES:
            raise self.refusal(f"says that {named} has {info.size} bytes")
        # One comparison for whatever else a header can say: modes, owners, times, prefixes, types, other spellings.
        try:
            usual = tar_header(name, info.size)
        except (ValueError, UnicodeError):
            usual = b""
        if block != usual:
            raise self.refusal(f"describes {named} otherwise than `onepath bundle pack` does")
        return name, info.size

    def _read(self, count: int) -> bytes:
        """The next `count` bytes of the archive, unpacked."""
        self._left -= count
        if self._left < 0:
            raise self.refusal("unpacks to far more than its size: it is a bomb")
        parts = []
        while count:
            part = self._unpacked(count)
            if not part:
                raise self.refusal("is damaged: it is cut off")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _unpacked(self, most: int) -> bytes:
        """Some bytes, at most so many; none where the data have come to their end."""
        while not self._inflate.eof:
            packed = self._waiting or self._file.read(CHUNK_BYTES)
            try:
                part = self._inflate.decompress(packed, most)
            except zlib.error as problem:
                raise self.refusal(f"is damaged ({problem})") from None
            self._waiting = self._inflate.unconsumed_tail
            if part or not packed:
                return part
        return b""

    def _finish(self) -> None:
        """Read to the checksum at the end of the data, behind which nothing may stand."""
        if self._unpacked(1):
            raise self.refusal("goes on after the end of its archive")
        if not self._inflate.eof:
            raise self.refusal("is damaged: it is cut off")
        if self._inflate.unused_data or self._file.read(1):
            raise self.refusal("goes on after the end of its data")
