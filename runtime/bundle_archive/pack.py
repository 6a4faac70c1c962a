"""Pack a bundle into one file: the same bundle gives the same bytes."""

from __future__ import annotations

import io
import re
import zlib
from pathlib import Path

from runtime.build_folder import refuse_inside_bundle
from runtime.bundle import verify
from runtime.bundle_archive.layout import END, GZIP_HEADER, order, padding, tar_header, unpacked_cap_bytes
from runtime.files import FileProblem, OutputKind, checked_output, read_bytes, write_atomic

PACKED = OutputKind("a packed bundle", re.compile(rb"\x1f\x8b\x08"))
SUFFIXES = (".tar.gz", ".onepath")
LEVEL = 6


def pack(folder: Path, out: Path | None = None, *, force: bool = False) -> Path:
    """Pack the bundle in `folder` into `out`, by default `<folder>.tar.gz` beside it.

    The tar archive depends on the bundle alone; how it is compressed, on the version of zlib, too.

    Raises:
        FileProblem: the bundle is damaged, or the file cannot be written there.
    """
    bundle = verify(folder)
    place = folder.absolute().with_name(f"{folder.absolute().name}.tar.gz") if out is None else out
    if not place.name.endswith(SUFFIXES):
        raise FileProblem(place, "is to be a packed bundle", f"let its name end in {' or '.join(SUFFIXES)}")
    refuse_inside_bundle(place.absolute().parent)
    place = checked_output(place, PACKED, force=force)
    content = _tar(folder, list(bundle.manifest.files))
    packed = _gzip(content)
    if len(content) > unpacked_cap_bytes(len(packed)):
        raise FileProblem(
            folder, "is mostly zeros, and would be refused as a bomb", "copy the folder instead"
        )
    return write_atomic(place, packed)


def _tar(folder: Path, files: list[str]) -> bytes:
    stream = io.BytesIO()
    for name in order(files):
        if name in files or (folder / name).is_file():
            data = read_bytes(folder / name)
            stream.write(tar_header(name, len(data)) + data + padding(len(data)))
    stream.write(END)
    return stream.getvalue()


def _gzip(content: bytes) -> bytes:
    """A gzip file by RFC 1952; `gzip.compress` writes another header with each version of Python."""
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(content) + deflate.flush()
    checked = zlib.crc32(content).to_bytes(4, "little") + (len(content) & 0xFFFFFFFF).to_bytes(4, "little")
    return GZIP_HEADER + body + checked
