"""The rows of a table of scores: CSV with a header, or JSON, and the network that each row is of.

An architecture is what `onepath arch` writes (an object of choices by decision), or the number of each decision's
candidate in the order of the space: `2,0,1`, or as many digits as there are decisions.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from compiler.ir.expression import show
from compiler.path_costs import Picks
from compiler.path_decisions import PathDecision
from runtime.files import FileProblem

ARCHITECTURE = "architecture"
LARGEST_BYTES = 512 * 2**20
SHOWN = 12
"""How many decisions a message says the numbers of candidates of, how many columns it names."""

Row = Mapping[str, Any]


def read_content(path: Path) -> bytes:
    """The file's bytes.

    Raises:
        FileProblem: it cannot be read, or has more than `LARGEST_BYTES`.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise FileProblem(path, f"is larger than {LARGEST_BYTES:,} bytes", "leave out what is not needed")
        return path.read_bytes()
    except OSError as problem:
        raise FileProblem(path, f"cannot be read ({problem.strerror})", "name the table of scores") from None


def rows_of(path: Path, content: bytes) -> Iterator[tuple[str, Row]]:
    """The rows, each with its place in words.

    Raises:
        FileProblem: the content is neither CSV with a header nor JSON of objects.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise FileProblem(path, f"is no UTF-8 text (byte {problem.start:,})", "save it as UTF-8") from None
    try:
        if path.suffix.lower() == ".json":
            yield from _json_rows(path, json.loads(text, object_pairs_hook=_each_key_once))
        else:
            yield from _csv_rows(path, text)
    except (ValueError, csv.Error, RecursionError) as problem:
        raise FileProblem(path, f"is no table ({problem})", "give CSV with a header, or JSON") from None


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        again = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"{again!r} stands twice in an object")
    return found


def _csv_rows(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    names = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    if len(set(names)) < len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise FileProblem(path, f"has two columns `{again}`", "name each column differently")
    for row in reader:
        place = f"line {reader.line_num}"
        if None in row or None in row.values():
            raise FileProblem(path, f"{place} has not the {len(names)} fields of the header", "mend the row")
        yield place, row


def _json_rows(path: Path, found: Any) -> Iterator[tuple[str, Row]]:
    rows = found
    if isinstance(found, dict):
        rows = [{ARCHITECTURE: key, **row} if isinstance(row, dict) else row for key, row in found.items()]
    if not isinstance(rows, list):
        raise FileProblem(path, "is no table", "give a list of objects, or an object of objects")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise FileProblem(path, f"row {number} is no object", "a row is an architecture and its score")
        yield f"row {number}", row


def columns_of(row: Row) -> str:
    """The columns of a row in words, but for the architecture."""
    names = [f"`{name}`" for name in row if name != ARCHITECTURE]
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "") or "no others"


def picks_of_row(path: Path, place: str, row: Row, decisions: Sequence[PathDecision]) -> Picks:
    """The network of a row.

    Raises:
        FileProblem: it names none of the space.
    """
    given = row.get(ARCHITECTURE)
    if given is None:
        there = f"there are {columns_of(row)}: name the network of each row"
        raise FileProblem(path, f"{place} has no `{ARCHITECTURE}`", there)
    if isinstance(given, str) and given.lstrip().startswith("{"):
        try:
            given = json.loads(given)
        except ValueError:
            raise FileProblem(path, f"{place}: {given[:60]!r} is no JSON", "mend the row") from None
    if isinstance(given, dict):
        found, missing = picks_of_choices(given.get("choices", given), decisions)
        if missing:
            hint = f"give one of {', '.join(missing.labels)}, and all other decisions"
            raise FileProblem(path, f"{place} has no choice for `{missing.name}`", hint)
        return found
    sizes = [len(decision.labels) for decision in decisions]
    numbers = _numbers(given, len(sizes))
    if len(numbers) != len(sizes) or any(
        not 0 <= pick < size for pick, size in zip(numbers, sizes, strict=True)
    ):
        example = ",".join("0" * len(sizes))
        hint = f"give {len(sizes)} numbers, each under {_sizes(sizes)}, as in {example}"
        raise FileProblem(path, f"{place}: {str(given)[:60]!r} is no network of the space", hint)
    return tuple(numbers)


def _sizes(sizes: Sequence[int]) -> str:
    shown = ", ".join(map(str, sizes[:SHOWN]))
    return shown + (", …" if len(sizes) > SHOWN else "")


def _numbers(given: Any, count: int) -> list[int]:
    """The numbers meant, none where these are no numbers."""
    if isinstance(given, list):
        return given if all(type(each) is int for each in given) else []
    text = str(given).strip()
    parts = text if text.isdigit() and count > 1 else text.replace(",", " ").replace("-", " ").split()
    try:
        return [int(part) for part in parts]
    except ValueError:
        return []


def picks_of_choices(choices: Any, decisions: Sequence[PathDecision]) -> tuple[Picks, PathDecision | None]:
    """The candidate of each decision whose choices are all given, of two that are the one that says more; and the
    first decision that has none."""
    choices = choices if isinstance(choices, Mapping) else {}
    picks = []
    for decision in decisions:
        fitting = [
            (len(meant), index)
            for index, meant in enumerate(decision.choices)
            if all(where in choices and _same(choices[where], what) for where, what in meant)
        ]
        if not fitting:
            return (), decision
        picks.append(max(fitting, key=lambda each: each[0])[1])
    return tuple(picks), None


def _same(given: Any, meant: Any) -> bool:
    return bool(given == meant) or str(given) == show(meant).strip('"')
