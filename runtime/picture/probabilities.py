"""Probabilities of candidates, from a run's search or from a file that a person wrote.

A file is JSON: `{"schema": "onepath.probabilities/1", "space": NAME, "probabilities": {DECISION: {CANDIDATE: p}}}`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.architecture import shown
from compiler.picture.marks import Shares
from runtime.events import read_events
from runtime.files import FileProblem, read_json

SCHEMA, RESULT_SCHEMA = "onepath.probabilities/1", "onepath.search/1"
RESULT, LOG = "search/result.json", "search/search.jsonl"
WAY_OUT = (
    'give {"schema": "onepath.probabilities/1", "space": …, "probabilities": {decision: {candidate: p}}}'
)


@dataclass(frozen=True)
class GivenProbabilities:
    """Probabilities by decision and candidate, and in words where they are from."""

    shares: Shares
    source: str


def read_probabilities(path: Path, space: str) -> GivenProbabilities:
    """The probabilities of a run folder's search, finished or under way, or of a file; not yet held against a space.

    Raises:
        FileProblem: it is missing, of another kind or space, holds no probabilities, or what it holds are none.
    """
    if path.is_dir():
        return _of_run(path)
    body = read_json(path, SCHEMA, checksum=False)
    if body.get("space") != space:
        raise FileProblem(
            path, f"is of space `{shown(str(body.get('space')))}`, not of `{space}`", "name the right one"
        )
    return GivenProbabilities(_checked(path, body.get("probabilities")), f"Probabilities of {path.name}")


def _of_run(folder: Path) -> GivenProbabilities:
    """Those of the search's result, else the last that it logged."""
    result, log = folder / RESULT, folder / LOG
    if result.is_file():
        body = read_json(result, RESULT_SCHEMA)
        return GivenProbabilities(
            _checked(result, body.get("probabilities")), "Probabilities at the end of the search"
        )
    if not log.is_file():
        raise FileProblem(
            folder, "holds no search", "run `onepath search` there, or give a file of probabilities"
        )
    logged = [event for event in read_events(log) if event.get("event") == "probabilities"]
    if not logged:
        raise FileProblem(
            log, "holds no probabilities yet", "wait until the search has made an architecture step"
        )
    source = f"Probabilities after step {logged[-1].get('step')} of a search under way"
    return GivenProbabilities(_checked(log, logged[-1].get("probabilities")), source)


def _checked(path: Path, found: Any) -> Shares:
    """What a file holds, if it is an object of objects of numbers from 0 to 1."""
    if not isinstance(found, dict):
        raise FileProblem(path, "holds no `probabilities`", WAY_OUT)
    for name, row in found.items():
        if not isinstance(row, dict) or not row:
            raise FileProblem(path, f"`{shown(name)}` has no probabilities by candidate", WAY_OUT)
        for label, share in row.items():
            number = isinstance(share, int | float) and not isinstance(share, bool)
            if not number or not 0 <= share <= 1:
                what = f"`{shown(name)}`, `{shown(label)}`: {shown(str(share))} is no probability"
                raise FileProblem(path, what, "give a number from 0 to 1")
    return found
