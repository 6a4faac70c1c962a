"""A table as evaluator: scores, and latencies if need be, of networks that were trained by others.

CSV with a header, or JSON: a list of objects, or an object of objects by architecture (NAS-Bench-Macro's form). An
architecture is what `onepath arch` writes (an object of choices by decision), or the number of each decision's
candidate in the order of the space: `2,0,1`, or as many digits as there are decisions.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.ir.expression import show
from compiler.path_costs import Picks
from compiler.path_decisions import PathDecision
from runtime.files import FileProblem
from runtime.search.options import SearchProblem

ARCHITECTURE = "architecture"
LARGEST_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Listed:
    """A metric that a table has for the networks in it; infinite for all others."""

    values: Mapping[Picks, float]

    def total(self, picks: Sequence[int]) -> float:
        """The value of one network."""
        return self.values.get(tuple(picks), math.inf)

    @property
    def least(self) -> Picks:
        """The network of the least value."""
        return min(self.values, key=self.values.__getitem__)


@dataclass(frozen=True)
class TableOfScores:
    """The evaluator: scores by network, and the latencies where the table has them, in milliseconds."""

    scores: Mapping[Picks, float]
    latencies_ms: Listed | None
    digest: str

    def score_of(self, picks: Picks) -> float:
        """The score of one network.

        Raises:
            SearchProblem: the table does not have it.
        """
        if picks not in self.scores:
            raise SearchProblem(f"the table has no score of {_code(picks)}", "add the network to it")
        return self.scores[picks]

    def known(self) -> Iterable[Picks]:
        """The networks of the table, in its order."""
        return self.scores


def read_score_table(
    path: Path, decisions: Sequence[PathDecision], score: str = "score", latency: str = "latency_ms"
) -> TableOfScores:
    """The table of a file, for a space of these decisions.

    Raises:
        FileProblem: it cannot be read, or a row is not an architecture of the space with a finite score.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise FileProblem(path, f"is larger than {LARGEST_BYTES:,} bytes", "leave out what is not needed")
        content = path.read_bytes()
    except OSError as problem:
        raise FileProblem(path, f"cannot be read ({problem.strerror})", "name the table of scores") from None
    scores: dict[Picks, float] = {}
    latencies: dict[Picks, float] = {}
    for place, row in _rows(path, content):
        picks = _picks(path, place, row, decisions)
        if picks in scores:
            raise FileProblem(path, f"{place} has the network {_code(picks)} again", "keep one of them")
        scores[picks] = _number(path, place, row, score, required=True)
        if latency in row:
            latencies[picks] = _number(path, place, row, latency, required=False)
    if not scores:
        raise FileProblem(path, "has no rows", "a row is a network and its score")
    if latencies and len(latencies) < len(scores):
        raise FileProblem(path, f"has `{latency}` in some rows alone", "give it in all rows, or in none")
    return TableOfScores(
        scores, Listed(latencies) if latencies else None, hashlib.sha256(content).hexdigest()
    )


def _rows(path: Path, content: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        text = content.decode("utf-8-sig")
        if path.suffix.lower() == ".json":
            yield from _json_rows(path, json.loads(text))
        else:
            reader = csv.DictReader(io.StringIO(text), strict=True)
            for row in reader:
                yield f"line {reader.line_num}", {key: value for key, value in row.items() if key is not None}
    except (ValueError, csv.Error, RecursionError) as problem:
        raise FileProblem(path, f"is no table ({problem})", "give CSV with a header, or JSON") from None


def _json_rows(path: Path, found: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    rows = (
        [{ARCHITECTURE: key, **row} if isinstance(row, dict) else row for key, row in found.items()]
        if (isinstance(found, dict))
        else found
    )
    if not isinstance(rows, list):
        raise FileProblem(path, "is no table", "give a list of objects, or an object of objects")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise FileProblem(path, f"row {number} is no object", "a row is an architecture and its score")
        yield f"row {number}", row


def _picks(path: Path, place: str, row: Mapping[str, Any], decisions: Sequence[PathDecision]) -> Picks:
    given = row.get(ARCHITECTURE)
    if given is None:
        raise FileProblem(path, f"{place} has no `{ARCHITECTURE}`", "name the network of each row")
    if isinstance(given, str) and given.lstrip().startswith("{"):
        try:
            given = json.loads(given)
        except ValueError:
            raise FileProblem(path, f"{place}: {given[:60]!r} is no JSON", "mend the row") from None
    if isinstance(given, dict):
        return _of_choices(path, place, given.get("choices", given), decisions)
    numbers = _numbers(given)
    sizes = [len(decision.labels) for decision in decisions]
    fits = numbers is not None and len(numbers) == len(sizes)
    if not fits or any(not 0 <= pick < size for pick, size in zip(numbers or (), sizes, strict=True)):
        hint = (
            f"give {len(sizes)} numbers, each under {listed_sizes(sizes)}, as in {','.join('0' * len(sizes))}"
        )
        raise FileProblem(path, f"{place}: {str(given)[:60]!r} is no network of the space", hint)
    return tuple(numbers or ())


def listed_sizes(sizes: Sequence[int]) -> str:
    """The numbers of candidates, shortened where there are many."""
    shown = ", ".join(map(str, sizes[:12]))
    return shown + (", …" if len(sizes) > 12 else "")


def _numbers(given: Any) -> list[int] | None:
    parts: Sequence[Any] = given if isinstance(given, list) else str(given).strip()
    if isinstance(parts, str) and not parts.isdigit():
        parts = parts.replace(",", " ").replace("-", " ").split()
    try:
        return [int(part) for part in parts]
    except (TypeError, ValueError):
        return None


def _of_choices(
    path: Path, place: str, choices: Mapping[str, Any], decisions: Sequence[PathDecision]
) -> Picks:
    """The candidate of each decision whose choices are all given; of two that are, the one that says more."""
    picks = []
    for decision in decisions:
        fitting = [
            (len(meant), index)
            for index, meant in enumerate(decision.choices)
            if all(where in choices and _same(choices[where], what) for where, what in meant)
        ]
        if not fitting:
            raise FileProblem(path, f"{place} has no choice for `{decision.name}`", "give all decisions")
        picks.append(max(fitting, key=lambda each: each[0])[1])
    return tuple(picks)


def _same(given: Any, meant: Any) -> bool:
    return bool(given == meant) or str(given) == show(meant).strip('"')


def _number(path: Path, place: str, row: Mapping[str, Any], column: str, required: bool) -> float:
    if column not in row:
        there = ", ".join(f"`{name}`" for name in row if name != ARCHITECTURE)
        raise FileProblem(
            path, f"{place} has no `{column}`", f"there are {there}: name the column of the score"
        )
    try:
        value = float(row[column])
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise FileProblem(path, f"{place}: `{column}` is {row[column]!r}", "give a finite number")
    return value


def _code(picks: Picks) -> str:
    return ",".join(map(str, picks))
