"""The networks that were judged, cost against score, with those marked of which none is cheaper and better."""

from __future__ import annotations

from collections.abc import Sequence

from dsl.suggest import counted
from runtime.picture.shapes import Picture, Shape, circle, label, line, polyline
from runtime.report.axes import BOTTOM, HEIGHT, LEFT, TOP, WIDTH, Axes, spread
from runtime.report.metrics import metric_of
from runtime.report.numbers import percent
from runtime.report.values import History, Judged

DOTS_CAP = 600
"""The most networks that are drawn; evenly taken where there are more, the front always."""


def front_pictures(history: History) -> list[Picture]:
    """One chart for each metric that the judged networks have, the capped ones first."""
    judged = [*history.evaluations, *history.front]
    names = dict.fromkeys(name for each in judged for name in each.costs)
    ranked = sorted(names, key=lambda name: name not in history.caps)
    return [_picture(history, name, number) for number, name in enumerate(ranked)]


def _picture(history: History, name: str, number: int) -> Picture:
    dots = [each for each in history.evaluations if name in each.costs]
    front = sorted((each for each in history.front if name in each.costs), key=lambda each: each.costs[name])
    shown = dots[:: max(1, -(-len(dots) // DOTS_CAP))]
    found = history.found if history.found and name in history.found.costs else None
    marked = [found] if found else []
    cap = history.caps.get(name)
    costs = [each.costs[name] for each in [*shown, *front, *marked]] + ([] if cap is None else [cap])
    metric = metric_of(name, costs)
    scores = [100 * each.score for each in [*shown, *front, *marked]]
    axes = Axes(spread([cost * metric.scale for cost in costs]), spread(scores), metric.heading)

    def at(each: Judged) -> tuple[float, float]:
        return axes.at(each.costs[name] * metric.scale, 100 * each.score)

    def title(each: Judged, what: str) -> str:
        return f"{what}: {percent(each.score)}, {metric.say(each.costs[name])}"

    shapes = axes.shapes()
    shapes.append(label(LEFT, TOP - 5, "line: the front; ring: the network found; grey: judged", "faint"))
    if cap is not None:
        shapes += _cap(axes.at(cap * metric.scale, axes.up[0])[0], f"cap {metric.say(cap)}")
    shapes += [circle(*at(each), 2.2, "dot") for each in shown]
    edge = _edge(front)
    if len(edge) > 1:
        shapes.append(polyline([at(each) for each in edge], "course"))
    shapes += [circle(*at(each), 3.2, "end", title(each, "on the front")) for each in front]
    shapes += [circle(*at(each), 5.5, "ring", title(each, "the network found")) for each in marked]
    text = f"{counted(len(dots), 'network')}, {len(front)} of them on the front."
    heading = f"Accuracy, %, against {metric.heading}"
    return Picture(f"front-{number}", heading, text, WIDTH, HEIGHT, tuple(shapes))


def _edge(front: Sequence[Judged]) -> list[Judged]:
    """Those of the front, the cheapest first, that are better than all cheaper ones by this metric alone."""
    best, edge = float("-inf"), []
    for each in front:
        if each.score > best:
            best = each.score
            edge.append(each)
    return edge


def _cap(x: float, text: str) -> Sequence[Shape]:
    """The dashed line of a cap; its label is on the side that has room."""
    right = x < (LEFT + WIDTH) / 2
    place = label(
        x + 5 if right else x - 5, HEIGHT - BOTTOM - 6, text, "limit-label", "start" if right else "end"
    )
    return line(x, TOP, x, HEIGHT - BOTTOM, "limit"), place
