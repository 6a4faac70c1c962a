"""Bytes to sources."""

from __future__ import annotations

from pathlib import Path

from dsl.diagnostic import Diagnostic, DiagnosticError
from dsl.limits import MAXIMUM_BYTES
from dsl.source import Source


def decode(name: str, data: bytes) -> Source:
    """The text of a file's bytes, which are UTF-8, with or without a byte order mark.

    Raises:
        DiagnosticError: they are not UTF-8, or more than the cap.
    """
    if len(data) > MAXIMUM_BYTES:
        place = Source(name, "").span(0, 0)
        message = f"the file is larger than {MAXIMUM_BYTES // 1024} KiB"
        raise DiagnosticError([Diagnostic("E0002", message, place, "split it and join with `use`")])
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        # Positions in `error` count from after the mark, if there is one.
        sound = error.object[: error.start].decode("utf-8")
        rest = error.object[error.start :].decode("utf-8", "replace")
        place = Source(name, sound + rest).span(len(sound), len(sound) + 1)
        message = f"the byte 0x{error.object[error.start]:02x} is not UTF-8"
        raise DiagnosticError([Diagnostic("E0001", message, place, "save the file as UTF-8")]) from None


def read(path: Path) -> Source:
    """The source in a file.

    Raises:
        OSError: the file cannot be read.
        DiagnosticError: see `decode`.
    """
    with path.open("rb") as file:
        return decode(str(path), file.read(MAXIMUM_BYTES + 1))
