"""Files that no runner of a bundle may take, for a network of `[3, 5, 4]`: 60 numbers, 240 bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np

PLAIN = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5, 4), }"
DATA = bytes(240)


def npy(head: str | bytes, data: bytes = DATA, version: int = 1, length: int | None = None) -> bytes:
    """An array file with this header."""
    head = head.encode("latin-1") if isinstance(head, str) else head
    size = len(head) if length is None else length
    return (
        b"\x93NUMPY" + bytes([version, 0]) + size.to_bytes(2 if version == 1 else 4, "little") + head + data
    )


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def arrays() -> Iterator[bytes]:
    """Of `.npy` files: wrong headers, types, shapes, lengths and values."""
    yield from (
        b"",
        b"1 2 3",
        b"\x93NUMPY",
        b"\x93NUMPY\x01",
        b"\x93NUMPY\x01\x00\xff",
        b"\x93NUMPY" + b"\xff" * 60,
    )
    yield from (npy(PLAIN, version=0), npy(PLAIN, version=9), npy(PLAIN, b"", length=65535))
    yield from (
        npy(PLAIN, version=2, length=2**32 - 1),
        npy(PLAIN, version=3, length=9999),
        npy(PLAIN, version=1, length=0),
    )
    yield from (
        npy(""),
        npy("{"),
        npy("{}"),
        npy("[]"),
        npy("\0" * 50),
        npy("{'descr': '<f4'"),
        npy(b"\xff" * 99, version=3),
    )
    yield from (
        npy(PLAIN[:40]),
        npy(PLAIN.replace("False", "0x")),
        npy(PLAIN.replace("'descr': '<f4', ", "")),
    )
    yield from (
        npy(PLAIN.replace("}", "'more': 1}")),
        npy(PLAIN + PLAIN),
        npy(PLAIN.replace("'<f4'", "'<f4")),
    )
    for kind in (
        "<f8",
        ">f4",
        "<i4",
        "|b1",
        "|O",
        "<f99999",
        "<f0",
        "<",
        "",
        "<q4",
        "<c8",
        "<f-4",
        "\\x00f4",
    ):
        yield npy(PLAIN.replace("<f4", kind), DATA * 4)
    yield npy(PLAIN.replace("'<f4'", "[('a', '<f4')]"))
    yield from (npy(PLAIN + "\0 \n"), npy(PLAIN + "\x0b"), npy(PLAIN.replace("'descr'", "b'escr'")))
    yield from (npy(PLAIN.replace("(3, 5", "(3, 05")), npy(PLAIN).replace(b"\x01\x00", b"\x01\x07", 1))
    huge = f"({2**33}, {2**33}, {2**33})"
    for shape in (
        "()",
        "(0, 3, 5, 4)",
        "(3, 5)",
        "(3, 4, 5)",
        "(1, 1, 3, 5, 4)",
        "(60,)",
        "(3, 5, 4.0)",
        "(3, -5, -4)",
    ):
        yield npy(PLAIN.replace("(3, 5, 4)", shape))
    for shape in (
        huge,
        f"({2**62}, 3, 5, 4)",
        f"({2**64 + 1}, 3, 5, 4)",
        f"(0, {2**60}, 5)",
        "(3, 5, (4,))",
        "(3, 5, 4",
        "3",
        "(,)",
    ):
        yield npy(PLAIN.replace("(3, 5, 4)", shape))
    yield from (npy(PLAIN, DATA[1:]), npy(PLAIN, b""), saved(np.array([{}])))
    yield from (saved(np.zeros((5, 4), np.uint8)), saved(np.zeros((3, 5, 4), np.uint8))[:-1])
    for value in (np.nan, np.inf, -np.inf):
        yield saved(np.full((2, 3, 5, 4), [[[[1]]], [[[value]]]], np.float32))


def raws() -> Iterator[bytes]:
    """Of `.raw` files: wrong sizes, and a value that is not finite."""
    yield from (bytes(size) for size in (0, 1, 59, 61, 239, 241, 480))
    yield DATA[4:] + np.float32(np.nan).tobytes()


def images() -> Iterator[bytes]:
    """Of `.ppm` files: wrong headers, sizes and values, and too few of them."""
    yield from (
        b"",
        b"P",
        b"P6",
        b"P6\n",
        b"P6 4 5",
        b"P6 4 5 255",
        b"P1 4 5 255 " + DATA,
        b"P7 4 5 255 " + DATA,
    )
    yield from (b"4 5 255 " + DATA, b"P64 5 255 " + DATA, b"P6 4 5 255#\n" + DATA, b"P6 4 5 255\0" + DATA)
    yield from (b"P6 4 5 65535 " + DATA, b"P6 4 5 254 " + DATA, b"P6 4 5 0 " + DATA, b"P6 0 5 255 " + DATA)
    yield from (b"P6 -4 5 255 " + DATA, b"P6 4 +5 255 " + DATA, b"P6 99999 99999 255 " + DATA)
    yield from (
        b"P6 9999999999 5 255 " + DATA,
        b"P6 999999999 999999999 255 " + DATA,
        b"P6 100000000 1 255 " + DATA,
    )
    yield from (
        b"P6 4 5 255 " + DATA[:59],
        b"P5 4 5 255 ",
        b"P6 # no end",
        b"P6 " + b"#\n" * 3000 + b"4 5 255 " + DATA,
    )
    yield from (
        b"P2 4 5 255 1 2 256",
        b"P2 4 5 255 1 two",
        b"P2 4 5 255 -1",
        b"P2 4 5 255 1 2",
        b"P2 4 5 255 ",
    )
    yield from (b"P3 2 1 255 1 2 3 4 5 0006", b"P3 2 1 255 1 2 3 4 5 6.5", b"P2 1 1 255 " + b"# " * 50)


def hostile() -> Iterator[tuple[str, bytes]]:
    """Names and contents of them all."""
    for suffix, contents in (("npy", arrays()), ("raw", raws()), ("ppm", images())):
        yield from ((f"{number}.{suffix}", content) for number, content in enumerate(contents))
