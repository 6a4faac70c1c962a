"""Networks along the front of score and cost: none of them is better than another in both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from compiler.caps import Cap
from compiler.path_costs import PathCosts, Picks
from runtime.search.options import Found
from runtime.search.problem import Problem


def nondominated(networks: Sequence[Found], objective: str) -> tuple[Found, ...]:
    """Those that hold the caps and that none beats in score and cost, the cheapest first, each once."""
    ordered = sorted(
        {each.picks: each for each in networks if each.feasible}.values(),
        key=lambda each: (each.costs[objective], -each.score, each.picks),
    )
    kept: list[Found] = []
    for each in ordered:
        if not kept or each.score > kept[-1].score:
            kept.append(each)
    return tuple(kept)


def thinned(front: Sequence[Found], count: int) -> tuple[Found, ...]:
    """At most `count` of them, evenly over their order, with the first and the last."""
    if len(front) <= count:
        return tuple(front)
    if count < 2:
        return tuple(front[-count:]) if count else ()
    return tuple(front[round(place * (len(front) - 1) / (count - 1))] for place in range(count))


def along_the_front(
    problem: Problem,
    scores: Sequence[Sequence[float]],
    alive: Sequence[Sequence[int]],
    count: int,
    judge: Callable[[Picks], Found],
) -> tuple[Found, ...]:
    """The networks of the greatest total score under `count` caps on the objective, from what can be reached at
    least to what the best network has; each is judged, and those that another beats are left out."""
    name = problem.objective
    metric = problem.metrics[name]
    best = problem.caps.best(scores, alive)
    if count < 1 or best is None or not isinstance(metric, PathCosts):
        return ()
    most = metric.total(best)
    least = problem.caps.reachable(Cap(name, metric, most), alive)
    found: dict[Picks, Found] = {}
    for place in range(count):
        limit = most - (most - (most if least is None else least)) * place / max(1, count - 1)
        tighter = replace(problem.caps, caps=(*problem.caps.caps, Cap(name, metric, limit)))
        picks = tighter.best(scores, alive)
        if picks is not None and picks not in found:
            found[picks] = judge(picks)
    return nondominated(list(found.values()), name)
