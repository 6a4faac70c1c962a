"""The peak of activation memory as a function of a space's decisions: a maximum, not a sum."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from compiler.cost import alive_bytes
from compiler.derive import derive
from compiler.ir.graph import SpaceGraph
from compiler.path_costs import Picks
from compiler.path_decisions import PathDecision, choices_of

ROUNDS = 10
"""Passes over the decisions to find the network that needs the least."""
KNOWN = 100_000
"""Networks whose peaks are remembered."""


class PeakMemory:
    """Bytes of activations alive at once in the networks of a flattened space (see `compiler.cost`)."""

    def __init__(self, flat: SpaceGraph, decisions: Sequence[PathDecision]) -> None:
        self._flat, self._decisions = flat, decisions
        self._known: dict[Picks, dict[str, int]] = {}

    def total(self, picks: Sequence[int]) -> float:
        """The peak of one network."""
        return float(max(self._by_unit(tuple(picks)).values()))

    @cached_property
    def least(self) -> Picks:
        """The network whose every decision has the candidate that needs the least while it runs itself, beside
        those of the others: decision by decision, until none changes."""
        picks: Picks = (0,) * len(self._decisions)
        for _ in range(ROUNDS):
            before = picks
            for at, decision in enumerate(self._decisions):
                tried = [self._with(picks, {at: pick}) for pick in range(len(decision.labels))]
                picks = min(tried, key=lambda each: (self._needs(each, at), self.total(each)))
            if picks == before:
                break
        return picks

    def conflict(self, picks: Picks, limit: float) -> tuple[tuple[int, int], ...]:
        """Candidates of a network over the limit that break it already where all others are the least: what a
        network must not have together. One decision or two, where these alone are found to do it, else all."""
        culprits = [at for at in range(len(picks)) if self._needs(picks, at) > limit]
        for at in culprits:
            if self._alone(picks, (at,)) > limit:
                return ((at, picks[at]),)
        for at in culprits:
            for other in range(len(picks)):
                if other != at and self._alone(picks, (at, other)) > limit:
                    return tuple(sorted({(at, picks[at]), (other, picks[other])}))
        return tuple(enumerate(picks))

    def _alone(self, picks: Picks, places: Sequence[int]) -> float:
        return self.total(self._with(self.least, {at: picks[at] for at in places}))

    def _with(self, picks: Sequence[int], changed: dict[int, int]) -> Picks:
        return tuple(changed.get(at, pick) for at, pick in enumerate(picks))

    def _needs(self, picks: Picks, at: int) -> int:
        """The peak while the nodes of one decision run; 0 where it has none."""
        found = self._by_unit(picks)
        return max((found.get(member, 0) for member in self._decisions[at].members), default=0)

    def _by_unit(self, picks: Picks) -> dict[str, int]:
        """The peak while the nodes of each decision unit run; "" is the rest."""
        if picks not in self._known:
            found: dict[str, int] = {}
            for node, alive in alive_bytes(derive(self._flat, choices_of(self._decisions, picks))):
                found[node.unit] = max(alive, found.get(node.unit, 0))
            if len(self._known) >= KNOWN:
                self._known.clear()
            self._known[picks] = found
        return self._known[picks]
