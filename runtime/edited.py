"""Files that people edit, read with bounds: UTF-8 with or without a byte order mark, JSON without repetition."""

from __future__ import annotations

import json
from pathlib import Path

from compiler.architecture import shown


class Unreadable(ValueError):
    """A file that is too large, no UTF-8 or no sound JSON; the message names it and the place."""


def read_text(path: Path, cap_bytes: int, what: str) -> str:
    """The text of a file that is `what` ("an architecture file") and has at most so many bytes.

    Raises:
        OSError: the file cannot be read.
        Unreadable: it is too large or not UTF-8.
    """
    with path.open("rb") as file:
        data = file.read(cap_bytes + 1)
    if len(data) > cap_bytes:
        raise Unreadable(f"{path}: {what} has at most {cap_bytes >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise Unreadable(f"{path} is not UTF-8, at byte {problem.start + 1}") from None


def read_json(path: Path, cap_bytes: int, what: str) -> object:
    """The JSON value in such a file; no object in it holds a key twice, no number is infinite.

    Raises:
        OSError: the file cannot be read.
        Unreadable: it is too large, no JSON, or holds a key twice.
    """
    text = read_text(path, cap_bytes, what)
    try:
        return json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_no_number)
    except Unreadable as problem:
        raise Unreadable(f"{path}: {problem}") from None
    except RecursionError:
        raise Unreadable(f"{path}: brackets are nested too deep for {what}") from None
    except json.JSONDecodeError as problem:
        raise Unreadable(f"{path} is not JSON: {problem}") from None
    except ValueError:
        # What is left is Python's own cap on the digits of an integer.
        raise Unreadable(f"{path}: a number has too many digits") from None


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise Unreadable(f"`{shown(key)}` stands twice; keep one of them")
        found[key] = value
    return found


def _no_number(name: str) -> None:
    raise Unreadable(f"{name} is no number of JSON")
