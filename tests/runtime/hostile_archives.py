"""Packed bundles that nobody should unpack, by name: their bytes, and what is said of each."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from runtime.bundle_archive.layout import END, GZIP_HEADER, padding, tar_header
from runtime.bundle_runner.manifest import SCHEMA
from runtime.files import json_document
from tests.runtime.light_bundle import contents, payload

Member = tuple[bytes, bytes]
"""A header, and what stands behind it."""


def gzipped(content: bytes, header: bytes = GZIP_HEADER) -> bytes:
    deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(content) + deflate.flush()
    return header + body + zlib.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")


def member(name: str, data: bytes) -> Member:
    return tar_header(name, len(data)), data + padding(len(data))


def odd(name: str, data: bytes = b"", form: int = tarfile.USTAR_FORMAT, **fields: Any) -> Member:
    """A member whose header has these fields."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(form), data + padding(len(data))


def patched(name: str, data: bytes, at: int, value: bytes) -> Member:
    """A member whose header has other bytes at a place, and the right checksum."""
    header = bytearray(tar_header(name, len(data)))
    header[at : at + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header), data + padding(len(data))


def manifest(given: dict[str, bytes], /, **changes: Any) -> Member:
    return member("manifest.json", json_document(payload(given, **changes), SCHEMA).encode())


def usual() -> list[Member]:
    """The members of the bundle that is as it should be."""
    files = contents()
    return [manifest(files), *[member(name, data) for name, data in sorted(files.items())]]


def archive(members: list[Member], end: bytes = END) -> bytes:
    return gzipped(b"".join(header + data for header, data in members) + end)


def with_member(extra: Member) -> bytes:
    return archive([*usual(), extra])


def listing(name: str, data: bytes = b"x") -> bytes:
    """An archive whose manifest lists such a file, and which holds it."""
    files = {**contents(), name: data}
    members = [odd(f"bundle/{each}", content) for each, content in sorted(files.items())]
    return archive([manifest(files), *members])


def written(text: str) -> bytes:
    """An archive with this manifest."""
    return archive([member("manifest.json", text.encode()), *usual()[1:]])


def told(text: str) -> str:
    """A manifest's text with the checksum that belongs to what is in it now."""
    body = {key: value for key, value in json.loads(text).items() if key != "checksum"}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    return text.replace(json.loads(text)["checksum"], "sha256:" + hashlib.sha256(canonical).hexdigest())


def nested(depth: int) -> dict[str, Any]:
    """A value in so many others."""
    return {"a": nested(depth - 1)} if depth else {}


def bomb() -> bytes:
    """128 MiB of zeros, which the manifest lists: 130 kB as an archive."""
    files = contents()
    zeros = bytes(128 << 20)
    entries = payload(files)["files"] | {"lib/aaa": {"sha256": "0" * 64, "size": len(zeros)}}
    head = manifest(files, files=entries)
    return archive([head, (tar_header("lib/aaa", len(zeros)), zeros)])


def other_format() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("bundle/manifest.json", "{}")
    return stream.getvalue()


TEXT = json_document(payload(contents()), SCHEMA)
WHOLE = archive(usual())
LINK = {"type": tarfile.SYMTYPE, "linkname": "/etc"}
LICENCE = "lib/LICENSE-apache-tvm"
HUGE = {f"lib/f{index}": {"sha256": "0" * 64, "size": 1 << 30} for index in range(3)}

HOSTILE: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "an absolute path": (lambda: with_member(odd("/tmp/evil", b"x")), "'/tmp/evil' otherwise than"),
    "a path upwards": (lambda: with_member(odd("bundle/../../evil", b"x")), r"holds '\.\./\.\./evil'"),
    "a path upwards at once": (lambda: with_member(odd("../evil", b"x")), "otherwise than"),
    "a backslash": (lambda: with_member(odd("bundle/..\\evil", b"x")), "its manifest listing it"),
    "a path upwards in the manifest": (lambda: listing("../evil"), r"lists a file named '\.\./evil'"),
    "an absolute path in the manifest": (lambda: listing("/evil"), "lists a file named '/evil'"),
    "a backslash in the manifest": (lambda: listing("lib\\evil"), "lists a file named"),
    "a drive in the manifest": (lambda: listing("C:evil"), "lists a file named 'C:evil'"),
    "a dot in the manifest": (lambda: listing("lib/./evil"), "lists a file named"),
    "a hidden file in the manifest": (lambda: listing(".evil"), "lists a file named"),
    "the manifest in the manifest": (lambda: listing("Manifest.json"), "lists a file named"),
    "the signature in the manifest": (lambda: listing("manifest.json.sig"), "lists a file named"),
    "a file as a folder": (lambda: listing("lib"), "lists a file named 'lib'"),
    "a NUL in the manifest": (lambda: listing("a\0b"), "lists a file named"),
    "a terminal's control in the manifest": (lambda: listing("a\x1b[2J"), r"named 'a\\x1b\[2J'"),
    "cases that collide": (lambda: listing("Model.so"), r"lists a file named 'Model\.so'"),
    "folders that collide": (lambda: listing("LIB/other.so"), "differ in the case of letters"),
    "a long name": (lambda: listing("a" * 91), "lists a file named"),
    "a symbolic link": (lambda: with_member(odd("bundle/link", **LINK)), "a symbolic link, 'bundle/link'"),
    "a file through a link": (
        lambda: archive([usual()[0], odd("bundle/lib", **LINK), *usual()[1:]]),
        "a symbolic link, 'bundle/lib'",
    ),
    "a hard link": (
        lambda: with_member(odd("bundle/x", type=tarfile.LNKTYPE, linkname="/etc/passwd")),
        "a hard link",
    ),
    "a character device": (lambda: with_member(odd("bundle/x", type=tarfile.CHRTYPE)), "a character device"),
    "a block device": (lambda: with_member(odd("bundle/x", type=tarfile.BLKTYPE)), "a block device"),
    "a FIFO": (lambda: with_member(odd("bundle/x", type=tarfile.FIFOTYPE)), "a FIFO"),
    "a folder": (lambda: with_member(odd("bundle/x", type=tarfile.DIRTYPE)), "a folder by itself"),
    "a sparse file": (lambda: with_member(odd("bundle/x", type=tarfile.GNUTYPE_SPARSE)), "a sparse file"),
    "an unknown type": (lambda: with_member(odd("bundle/x", type=b"V")), "otherwise than"),
    "an extended header": (
        lambda: with_member(
            odd("bundle/x", b"x", tarfile.PAX_FORMAT, pax_headers={"path": "/evil", "size": "9"})
        ),
        "an extended header",
    ),
    "a name in a header of its own": (
        lambda: with_member(odd("bundle/" + "a" * 200, b"x", tarfile.GNU_FORMAT)),
        "a name too long",
    ),
    "a prefix": (lambda: with_member(odd("bundle/" + "a" * 60 + "/" + "b" * 60, b"x")), "manifest listing it"),
    "a NUL in a name": (
        lambda: archive([*usual()[:-1], patched("runner.py", contents()["runner.py"], 20, b"evil")]),
        "otherwise than",
    ),
    "set-user-id": (
        lambda: archive([usual()[0], odd("bundle/lib/LICENSE-apache-tvm", b"x", mode=0o4755)]),
        "otherwise than",
    ),
    "an owner": (lambda: with_member(odd("bundle/x", uid=0, uname="root")), "otherwise than"),
    "a time": (lambda: with_member(odd("bundle/x", mtime=1)), "otherwise than"),
    "a negative size": (
        lambda: archive([patched("manifest.json", b"", 124, b"\xff" * 12)]),
        "has -1 bytes",
    ),
    "a size of 8 EiB": (
        lambda: archive([patched("manifest.json", b"", 124, b"\x80" + b"\x7f" * 11)]),
        r"has \d{20,} bytes",
    ),
    "a size that is no number": (
        lambda: archive([patched("manifest.json", b"", 124, b"all of it\0\0\0")]),
        "a header cannot be read",
    ),
    "a wrong header checksum": (
        lambda: archive([(tar_header("manifest.json", 0)[:148] + b"0" * 364, b"")]),
        "a header cannot be read",
    ),
    "another size than listed": (
        lambda: archive([usual()[0], member("lib/LICENSE-apache-tvm", b"short")]),
        "with 5 bytes, and its manifest says otherwise",
    ),
    "other content than listed": (
        lambda: archive([usual()[0], member("lib/LICENSE-apache-tvm", b"apache license\n" * 20)]),
        "LICENSE-apache-tvm is not what its manifest says",
    ),
    "twice the same": (lambda: with_member(member("runner.py", contents()["runner.py"])), "holds 'runner.py' twice"),
    "not in the manifest": (lambda: with_member(member("zzz.py", b"x")), r"holds 'zzz\.py'"),
    "a file too few": (lambda: archive(usual()[:-1]), r"lacks runner\.py"),
    "another order": (lambda: archive([usual()[0], *usual()[:0:-1]]), "in another order"),
    "no manifest": (lambda: archive(usual()[1:]), "does not begin with a manifest"),
    "nothing": (lambda: archive([]), "does not begin with a manifest"),
    "a manifest too large": (
        lambda: archive([member("manifest.json", b" " * ((8 << 20) + 1))]),
        "does not begin with a manifest of at most 8 MiB",
    ),
    "a manifest nested deep": (lambda: written('{"a":' * 100_000), "cannot be read"),
    "a manifest nested 200 deep": (
        lambda: written(json_document(payload(contents(), provenance=nested(200)), SCHEMA)),
        "is nested too deep",
    ),
    "a manifest that is no object": (lambda: written("[]"), "cannot be read"),
    "a manifest that is no text": (lambda: archive([member("manifest.json", b"\xff\xfe")]), "cannot be read"),
    "a manifest of another version": (
        lambda: written(TEXT.replace("bundle/1", "bundle/2")),
        "is of schema 'onepath.bundle/2'",
    ),
    "an infinite number": (lambda: written(TEXT.replace('"scale": 0.5', '"scale": 1e999')), "cannot be read"),
    "a key twice": (
        lambda: written(TEXT.replace('"network": "light"', '"network": "x",\n  "network": "light"')),
        "was damaged or changed",
    ),
    "spaces of its own": (lambda: written(TEXT + " "), "was damaged or changed"),
    "another checksum": (lambda: written(TEXT.replace('"light"', '"might"')), "was damaged or changed"),
    "a field of another type": (
        lambda: written(told(TEXT.replace('"threads": 1', '"threads": "1"'))),
        "is no manifest",
    ),
    "too many files": (
        lambda: archive([manifest({**contents(), **{f"f{index}": b"" for index in range(1001)}})]),
        "more than 1000",
    ),
    "too many bytes": (
        lambda: archive([manifest(contents(), files=payload(contents())["files"] | HUGE)]),
        "bytes, more than",
    ),
    "a size below zero in the manifest": (
        lambda: archive([manifest(contents(), files={"model.so": {"sha256": "0" * 64, "size": -1}})]),
        r"no size and SHA-256 of model\.so",
    ),
    "a signature too large": (
        lambda: archive([usual()[0], member("manifest.json.sig", bytes((64 << 10) + 1))]),
        "its manifest says otherwise",
    ),
    "a bomb": (bomb, "it is a bomb"),
    "cut in the middle": (lambda: WHOLE[: len(WHOLE) // 2], "is cut off"),
    "cut before its checksum": (lambda: WHOLE[:-8], "is cut off"),
    "a wrong checksum": (lambda: WHOLE[:-8] + b"1234" + WHOLE[-4:], "is damaged"),
    "a wrong length": (lambda: WHOLE[:-4] + b"1234", "is damaged"),
    "a name in the gzip header": (
        lambda: gzipped(b"", b"\x1f\x8b\x08\x08" + bytes(5) + b"\xff../evil\0"),
        "is no bundle that",
    ),
    "a second gzip member": (lambda: WHOLE + WHOLE, "after the end of its data"),
    "a tail": (lambda: WHOLE + b"\0", "after the end of its data"),
    "more after its end": (lambda: archive(usual(), END + bytes(512)), "after the end of its archive"),
    "one block at its end": (lambda: archive(usual(), END[:512]), "is cut off"),
    "no end": (lambda: archive(usual(), b""), "is cut off"),
    "one block of zeros within": (
        lambda: archive([usual()[0], (bytes(512), b""), *usual()[1:]]),
        "does not end as an archive does",
    ),
    "something between its files": (
        lambda: archive([usual()[0], (tar_header(LICENCE, 300), contents()[LICENCE] + b"x" * 212)]),
        "something stands between its files",
    ),
    "a tar file": (lambda: b"".join(header + data for header, data in usual()) + END, "is no bundle that"),
    "a zip file": (other_format, "is no bundle that"),
    "an empty file": (lambda: b"", "is no bundle that"),
}  # fmt: skip
