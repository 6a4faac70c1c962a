"""Path decisions of a flattened space, their additive latency, and the most probable paths under a cap.

Pure arithmetic on floats: no tensor, no clock. Latencies are in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compiler.ir.expression import Literal
from compiler.ir.graph import MIXED, Graph, Node


@dataclass(frozen=True)
class LatencyCosts:
    """The latency of the fixed parts, and of each candidate of each mixed node, in the candidates' order."""

    fixed_ms: float
    candidates_ms: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class PathDecision:
    """A choice between candidates, made once for all its `members` (mixed nodes of the same choices).

    It has the name of its first member. `choices` are, per candidate, the choices it stands for.
    """

    name: str
    labels: tuple[str, ...]
    choices: tuple[tuple[tuple[str, Literal], ...], ...]
    members: tuple[str, ...]


def path_decisions(graph: Graph) -> tuple[PathDecision, ...]:
    """The path decisions of a flattened graph, in its order; mixed nodes of equal choices are one decision.

    Raises:
        ValueError: two mixed nodes share some of their decisions but not all.
    """
    groups: dict[object, list[Node]] = {}
    for node in graph.nodes:
        if node.op == MIXED:
            choices = tuple(candidate.choices for candidate in node.candidates)
            groups.setdefault(choices if any(choices) else node.name, []).append(node)
    found = tuple(_decision(members) for members in groups.values())
    _refuse_overlap(found)
    return found


def _decision(members: Sequence[Node]) -> PathDecision:
    first = members[0]
    return PathDecision(
        first.name,
        tuple(str(candidate.key) for candidate in first.candidates),
        tuple(candidate.choices for candidate in first.candidates),
        tuple(node.name for node in members),
    )


def _refuse_overlap(decisions: Sequence[PathDecision]) -> None:
    owners: dict[str, str] = {}
    for decision in decisions:
        for path in {path for choices in decision.choices for path, _ in choices}:
            owner = owners.setdefault(path, decision.name)
            if owner != decision.name:
                raise ValueError(
                    f"`{owner}` and `{decision.name}` both depend on the decision `{path}`, and not on the same "
                    "decisions otherwise: a supernet of such a space is not supported yet"
                )


def costs_of(decisions: Sequence[PathDecision], costs: LatencyCosts) -> tuple[tuple[float, ...], ...]:
    """The latency of each candidate of each decision: the sum over the decision's members.

    Raises:
        ValueError: a mixed node has no cost, or not one for each of its candidates.
    """
    for decision in decisions:
        for member in decision.members:
            priced = len(costs.candidates_ms.get(member, ()))
            if priced != len(decision.labels):
                raise ValueError(
                    f"{priced} latencies for the {len(decision.labels)} candidates of `{member}`"
                )
    return tuple(
        tuple(map(sum, zip(*[costs.candidates_ms[member] for member in decision.members], strict=True)))
        for decision in decisions
    )


def total_ms(fixed_ms: float, costs: Sequence[Sequence[float]], picks: Sequence[int]) -> float:
    """The latency of one architecture: added up in order, so that equal picks give equal bits."""
    total = fixed_ms
    for candidates, pick in zip(costs, picks, strict=True):
        total += candidates[pick]
    return total


def fastest(costs: Sequence[Sequence[float]]) -> tuple[int, ...]:
    """The cheapest candidate of each decision: together the least latency that can be reached."""
    return tuple(min(range(len(row)), key=row.__getitem__) for row in costs)


def slowest(costs: Sequence[Sequence[float]]) -> tuple[int, ...]:
    """The dearest candidate of each decision: together the most latency that can be reached."""
    return tuple(max(range(len(row)), key=row.__getitem__) for row in costs)


def uniform_expectation_ms(fixed_ms: float, costs: Sequence[Sequence[float]]) -> float:
    """The expected latency where all candidates of a decision are as likely as each other."""
    return fixed_ms + sum(sum(row) / len(row) for row in costs)


def most_probable_under(
    cap_ms: float, fixed_ms: float, costs: Sequence[Sequence[float]], scores: Sequence[Sequence[float]]
) -> tuple[int, ...] | None:
    """The picks of the greatest total score whose `total_ms` is at most `cap_ms`; None if there are none.

    Exact: a multiple-choice knapsack (Kellerer, Pferschy, Pisinger, Knapsack Problems, 2004, chapter 11),
    solved by dynamic programming over the undominated (cost, score) states; a state is dropped when even
    its Lagrangian bound is below the best architecture known, which leaves few of them.
    """
    known = _greedy(cap_ms, fixed_ms, costs, scores)
    if known is None:
        return None
    price = _best_price(cap_ms - fixed_ms, costs, scores)
    rest = _bounds(price, costs, scores)
    best = sum(row[pick] for row, pick in zip(scores, known, strict=True))
    margin = 1e-9 * (1 + abs(best))
    states: list[_State] = [_State(fixed_ms, 0.0, ())]
    for index, (row, gains) in enumerate(zip(costs, scores, strict=True)):
        least = sum(min(later) for later in costs[index + 1 :]) * (1 - 1e-12)
        grown = [state.extended(row[pick], gains[pick], pick) for state in states for pick in range(len(row))]
        bound = [state.score + price * (cap_ms - state.cost) + rest[index + 1] for state in grown]
        states = _undominated(
            [
                state
                for state, most in zip(grown, bound, strict=True)
                if most >= best - margin and state.cost + least <= cap_ms
            ]
        )
    found = max(states, key=lambda state: state.score, default=None)
    return known if found is None else found.picks


@dataclass(frozen=True, slots=True)
class _State:
    cost: float
    score: float
    picks: tuple[int, ...]

    def extended(self, cost: float, score: float, pick: int) -> _State:
        return _State(self.cost + cost, self.score + score, (*self.picks, pick))


def _undominated(states: list[_State]) -> list[_State]:
    """Those for which no other is as cheap and scores as much."""
    kept: list[_State] = []
    for state in sorted(states, key=lambda state: (state.cost, -state.score)):
        if not kept or state.score > kept[-1].score:
            kept.append(state)
    return kept


def _greedy(
    cap_ms: float, fixed_ms: float, costs: Sequence[Sequence[float]], scores: Sequence[Sequence[float]]
) -> tuple[int, ...] | None:
    """A feasible architecture: from the fastest, better candidates while they fit; None if nothing fits."""
    picks = list(fastest(costs))
    if total_ms(fixed_ms, costs, picks) > cap_ms:
        return None
    for index, gains in enumerate(scores):
        for pick in sorted(range(len(gains)), key=lambda pick: -gains[pick]):
            tried = [*picks[:index], pick, *picks[index + 1 :]]
            if gains[pick] >= gains[picks[index]] and total_ms(fixed_ms, costs, tried) <= cap_ms:
                picks = tried
                break
    return tuple(picks)


def _bounds(price: float, costs: Sequence[Sequence[float]], scores: Sequence[Sequence[float]]) -> list[float]:
    """For each suffix of the decisions, the greatest sum of `score - price * cost`."""
    rest = [0.0]
    for row, gains in zip(reversed(costs), reversed(scores), strict=True):
        rest.append(rest[-1] + max(gain - price * cost for cost, gain in zip(row, gains, strict=True)))
    return rest[::-1]


def _best_price(budget: float, costs: Sequence[Sequence[float]], scores: Sequence[Sequence[float]]) -> float:
    """The price of a millisecond that makes the Lagrangian bound least (a convex function: ternary search)."""

    def bound(price: float) -> float:
        return price * budget + _bounds(price, costs, scores)[0]

    low, high = 0.0, 1.0
    while bound(2 * high) < bound(high) and high < 1e12:
        high *= 2
    high *= 2
    for _ in range(100):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if bound(left) <= bound(right) else (left, high)
    return (low + high) / 2
