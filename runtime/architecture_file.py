"""Architecture files as a person gives them: read with bounds, every mistake a message."""

from __future__ import annotations

import json
from pathlib import Path

from compiler.architecture import Architecture, InvalidArchitecture, from_json, shown

MAXIMUM_BYTES = 1 << 20
"""The largest architecture file: 20,000 decisions with long names fit several times over."""


def read_architecture(path: Path) -> Architecture:
    """The architecture in a JSON file, in UTF-8 with or without a byte order mark; not yet checked against a space.

    Raises:
        OSError: the file cannot be read.
        InvalidArchitecture: it is too large, no JSON, holds a key twice, or is no architecture.
    """
    with path.open("rb") as file:
        data = file.read(MAXIMUM_BYTES + 1)
    if len(data) > MAXIMUM_BYTES:
        raise InvalidArchitecture(f"{path}: an architecture file has at most {MAXIMUM_BYTES >> 20} MiB")
    try:
        return from_json(json.loads(data.decode("utf-8-sig"), object_pairs_hook=_without_repetition))
    except InvalidArchitecture as problem:
        raise InvalidArchitecture(f"{path}: {problem}") from None
    except RecursionError:
        raise InvalidArchitecture(f"{path}: brackets are nested too deep for an architecture") from None
    except UnicodeDecodeError as problem:
        raise InvalidArchitecture(f"{path} is not UTF-8, at byte {problem.start + 1}") from None
    except json.JSONDecodeError as problem:
        raise InvalidArchitecture(f"{path} is not JSON: {problem}") from None
    except ValueError:
        # What is left is Python's own cap on the digits of an integer.
        raise InvalidArchitecture(f"{path}: a number has too many digits") from None


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidArchitecture(f"`{shown(key)}` stands twice; keep one of them")
        found[key] = value
    return found
