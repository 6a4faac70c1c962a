"""A table as evaluator: scores, and latencies if need be, of networks that were trained by others."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler.path_costs import Picks
from compiler.path_decisions import PathDecision
from dsl.settings import TableEvaluator
from runtime.files import FileProblem, canonical_json
from runtime.search.evaluators.table_rows import Row, columns_of, picks_of_row, read_content, rows_of
from runtime.search.options import SearchProblem

DEFAULTS = TableEvaluator("")


@dataclass(frozen=True, eq=False)
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
    path: Path,
    decisions: Sequence[PathDecision],
    score: str = DEFAULTS.score,
    latency: str = DEFAULTS.latency,
) -> TableOfScores:
    """The table of a file (see `table_rows`), for a space of these decisions; greater scores are better.

    A column of latencies may be missing where it has the default name.

    Raises:
        FileProblem: it cannot be read, or a row is not an architecture of the space with a finite score.
    """
    content = read_content(path)
    scores: dict[Picks, float] = {}
    latencies: dict[Picks, float] = {}
    for place, row in rows_of(path, content):
        picks = picks_of_row(path, place, row, decisions)
        if picks in scores:
            raise FileProblem(path, f"{place} has the network {_code(picks)} again", "keep one of them")
        scores[picks] = _number(path, place, row, score, "the column of the score")
        if latency in row or latency != DEFAULTS.latency:
            latencies[picks] = _latency_ms(path, place, row, latency)
    if not scores:
        raise FileProblem(path, "has no rows", "a row is a network and its score")
    if latencies and len(latencies) < len(scores):
        raise FileProblem(path, f"has `{latency}` in some rows alone", "give it in all rows, or in none")
    digest = hashlib.sha256(canonical_json([score, latency]) + content).hexdigest()
    return TableOfScores(scores, Listed(latencies) if latencies else None, digest)


def _latency_ms(path: Path, place: str, row: Row, column: str) -> float:
    value = _number(path, place, row, column, "the column of the latency, in milliseconds")
    if value < 0:
        raise FileProblem(path, f"{place}: `{column}` is {value:g}", "give milliseconds")
    return value


def _number(path: Path, place: str, row: Row, column: str, what: str) -> float:
    if column not in row:
        raise FileProblem(path, f"{place} has no `{column}`", f"there are {columns_of(row)}: name {what}")
    try:
        value = math.nan if isinstance(row[column], bool) else float(row[column])
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise FileProblem(path, f"{place}: `{column}` is {row[column]!r}", "give a finite number")
    return value


def _code(picks: Picks) -> str:
    return ",".join(map(str, picks))
