"""What judges networks: anything that gives one a score, to be made great."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from compiler.path_costs import Picks


class Evaluator(Protocol):
    """A judge of the networks of a problem: a table, a function, or a trained supernet."""

    @property
    def digest(self) -> str:
        """Identifies what the scores come from: a search of another judge is begun anew."""

    def score_of(self, picks: Picks) -> float:
        """The score of one network.

        Raises:
            SearchProblem: it has none.
        """

    def known(self) -> Iterable[Picks] | None:
        """The networks that can be judged, where these are not all of the space; else None."""
