"""Architecture files as a person gives them: read with bounds, every mistake a message."""

from __future__ import annotations

from pathlib import Path

from compiler.architecture import Architecture, InvalidArchitecture, from_json
from runtime.edited import Unreadable, read_json

MAXIMUM_BYTES = 1 << 20
"""The largest architecture file: 20,000 decisions with long names fit several times over."""


def read_architecture(path: Path) -> Architecture:
    """The architecture in a JSON file, in UTF-8 with or without a byte order mark; not yet checked against a space.

    Raises:
        OSError: the file cannot be read.
        InvalidArchitecture: it is too large, no JSON, holds a key twice, or is no architecture.
    """
    try:
        document = read_json(path, MAXIMUM_BYTES, "an architecture file")
    except Unreadable as problem:
        raise InvalidArchitecture(str(problem)) from None
    try:
        return from_json(document)
    except InvalidArchitecture as problem:
        raise InvalidArchitecture(f"{path}: {problem}") from None
