"""What the report says of a search and of the training: the pictures of their courses, and what was pruned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from runtime.picture.shapes import Picture
from runtime.report.charts import Course, course_picture
from runtime.report.front import DOTS_CAP, front_pictures
from runtime.report.metrics import metric_of
from runtime.report.numbers import percent
from runtime.report.probabilities import probabilities_picture
from runtime.report.values import History, MixedChoice, Point, Pruned


@dataclass(frozen=True)
class SearchPart:
    """The pictures, small and wide, and a row for each candidate that was given up."""

    pictures: tuple[Picture, ...]
    probabilities: Picture | None
    pruned: tuple[tuple[str, ...], ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self.pictures and self.probabilities is None


def search_part(history: History, mixed: Sequence[MixedChoice]) -> SearchPart:
    """The search's pictures, each only where the log has what it shows."""
    courses = [*_sampled(history.points), *_expected(history), *_prices(history.points),
               *_entropy(history.points), *_left(history), *_best(history)]  # fmt: skip
    return SearchPart(
        (*_drawn(courses), *front_pictures(history)),
        probabilities_picture(history.snapshots, mixed),
        tuple(_pruned_row(each) for each in history.pruned),
    )


def training_pictures(history: History) -> tuple[Picture, ...]:
    """Loss and accuracy of a training."""
    points = history.points
    return _drawn(
        [
            Course("training-loss", "Loss on training images", "", _series(points, lambda each: each.loss)),
            Course("training-accuracy", "Accuracy on training images, %", "%", _accuracy(points)),
        ]
    )


def _drawn(courses: Iterable[Course]) -> tuple[Picture, ...]:
    return tuple(course_picture(course) for course in courses if len(course.points) > 1)


def _series(
    points: Sequence[Point], value: Callable[[Point], float | None], scale: float = 1.0
) -> tuple[tuple[float, float], ...]:
    found = [(point.step, value(point)) for point in points]
    return tuple((step, scale * number) for step, number in found if number is not None)


def _accuracy(points: Sequence[Point]) -> tuple[tuple[float, float], ...]:
    return _series(points, lambda each: each.accuracy, 100)


def _sampled(points: Sequence[Point]) -> list[Course]:
    return [
        Course("search-loss", "Loss of sampled paths", "", _series(points, lambda each: each.loss)),
        Course("search-accuracy", "Accuracy of sampled paths, %", "%", _accuracy(points)),
    ]


def _expected(history: History) -> list[Course]:
    """Each metric against its cap, the capped ones first."""
    names = dict.fromkeys(name for point in history.points for name in point.expected)
    courses = []
    for number, name in enumerate(sorted(names, key=lambda each: each not in history.caps)):
        cap = history.caps.get(name)
        values = [point.expected[name] for point in history.points if name in point.expected]
        metric = metric_of(name, values if cap is None else [*values, cap])
        points = _series(history.points, lambda each, name=name: each.expected.get(name), metric.scale)  # type: ignore[misc]
        limit = None if cap is None else cap * metric.scale
        words = "" if cap is None else f"cap {metric.say(cap)}"
        title = f"Expected {metric.heading}"
        courses.append(Course(f"search-expected-{number}", title, metric.unit, points, limit, words, True))
    return courses


def _prices(points: Sequence[Point]) -> list[Course]:
    names = dict.fromkeys(name for point in points for name, price in point.prices.items() if price)
    return [
        Course(
            f"search-price-{number}",
            f"Multiplier of the cap: {name}",
            "",
            tuple((point.step, point.prices[name]) for point in points if name in point.prices),
            from_zero=True,
        )
        for number, name in enumerate(names)
    ]


def _entropy(points: Sequence[Point]) -> list[Course]:
    values = _series(points, lambda each: each.entropy)
    return [Course("search-entropy", "Indecision: entropy, 1 is undecided", "", values, from_zero=True)]


def _left(history: History) -> list[Course]:
    """How many candidates of all decisions were left; before the first was given up, all."""
    if not history.pruned:
        return []
    begin = {0: history.pruned[0].total_left + 1}
    steps = begin | {each.step: each.total_left for each in history.pruned}
    limit, words = None, ""
    if history.snapshots:
        limit = float(len(history.snapshots[-1].probabilities))
        words = f"one of each of {limit:.0f} decisions"
    title = "Candidates left of all decisions"
    return [Course("search-pruned", title, "", tuple(steps.items()), limit, words, True, stairs=True)]


def _best(history: History) -> list[Course]:
    """The best score so far against the networks judged, all of which are dots."""
    judged = list(enumerate(history.evaluations, 1))
    best = tuple((number, 100 * each.best) for number, each in judged if each.best is not None)
    dots = tuple((number, 100 * each.score) for number, each in judged)[
        :: max(1, -(-len(judged) // DOTS_CAP))
    ]
    capped = " under the caps" if history.caps else ""
    title = f"Best accuracy so far{capped}, %"
    return [Course("search-best", title, "%", best, stairs=True, dots=dots, x_name="evaluation")]


def _pruned_row(each: Pruned) -> tuple[str, ...]:
    return (
        f"{each.step:,}", each.decision, each.label, percent(each.probability, 2), percent(each.threshold, 2),
        str(each.left), str(each.total_left),
    )  # fmt: skip
