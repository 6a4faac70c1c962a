"""The search's pictures: each where the log has what it shows, and what it shows is what was logged."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import sample_report

from runtime.picture.shapes import Picture, Shape
from runtime.report.front import front_pictures
from runtime.report.metrics import metric_of
from runtime.report.probabilities import PANELS_CAP, SNAPSHOTS_CAP, probabilities_picture
from runtime.report.search_part import search_part
from runtime.report.values import History, Judged, MixedChoice, Point, Report, Snapshot


@pytest.fixture(scope="module")
def report() -> Report:
    return sample_report.sample()


def every(shapes: tuple[Shape, ...]) -> Iterator[Shape]:
    for shape in shapes:
        yield shape
        yield from every(shape.children)


def of_class(picture: Picture, css: str) -> list[Shape]:
    return [shape for shape in every(picture.shapes) if dict(shape.attributes)["class"] == css]


def texts(picture: Picture) -> list[str]:
    return [shape.text for shape in every(picture.shapes) if shape.text]


def test_each_part_of_a_history_has_its_picture(report: Report) -> None:
    part = search_part(report.search, report.mixed)
    assert [picture.key for picture in part.pictures] == [
        "search-loss", "search-accuracy", "search-expected-0", "search-expected-1", "search-price-0",
        "search-entropy", "search-pruned", "search-best", "front-0", "front-1",
    ]  # fmt: skip
    assert part.probabilities is not None
    assert len(part.pruned) == len(report.search.pruned)
    assert part.pruned[0][3:5] == ("0.41\N{NO-BREAK SPACE}%", "1.00\N{NO-BREAK SPACE}%")


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(History)])
def test_a_history_that_lacks_a_part_or_has_nothing_else_stands(report: Report, name: str) -> None:
    empty = getattr(History(), name)
    search_part(dataclasses.replace(report.search, **{name: empty}), report.mixed)
    search_part(History(**{name: getattr(report.search, name)}), report.mixed)


def test_each_metric_is_drawn_against_its_cap() -> None:
    points = tuple(Point(step, expected={"latency on host": 0.1 * step, "macs": 5e6}) for step in (1, 2))
    part = search_part(History(points, caps={"macs": 4e6}), ())
    assert [picture.title for picture in part.pictures] == [
        "Expected MACs, M",
        "Expected latency on host, ms",
    ]
    assert "cap 4.00 M" in texts(part.pictures[0])
    assert not of_class(part.pictures[1], "limit")


def test_areas_stack_to_the_whole_and_name_their_candidates() -> None:
    mixed = (MixedChoice("a", ("k=3", "skip"), (0.25, 0.75), 1),)
    snapshots = [
        Snapshot(step, {"a": {"k=3": share, "skip": 1 - share}}) for step, share in ((0, 0.5), (8, 0.25))
    ]
    picture = probabilities_picture(snapshots, mixed)
    assert picture is not None
    titles = [shape.title for shape in of_class(picture, "area-of-candidate")]
    nb = "\N{NO-BREAK SPACE}"
    assert titles == [f"a: skip, 50.0{nb}% to 75.0{nb}%, chosen", f"a: k=3, 50.0{nb}% to 25.0{nb}%"]
    upper, lower = (
        dict(area.children[0].attributes)["points"].split() for area in of_class(picture, "area-of-candidate")
    )
    heights = [float(point.split(",")[1]) for point in (upper[1], upper[2], lower[1], lower[2], lower[0])]
    top, floor = heights[0], heights[4]
    assert heights[1] == top
    assert [(floor - height) / (floor - top) for height in heights[2:4]] == pytest.approx(
        [0.5, 0.25], abs=0.01
    )


def test_a_decision_that_lost_a_candidate_or_was_never_logged_stands() -> None:
    mixed = tuple(MixedChoice(name, ("k=3", "skip"), (1.0, 0.0), 0) for name in ("a", "b"))
    snapshots = [Snapshot(0, {"a": {"k=3": 0.5, "skip": 0.5}}), Snapshot(9, {"a": {"k=3": 1.0}})]
    picture = probabilities_picture(snapshots, mixed)
    assert picture is not None
    assert len(of_class(picture, "panel")) == 1
    assert probabilities_picture(snapshots[:1], mixed) is None
    assert probabilities_picture(snapshots, mixed[1:]) is None


def test_many_decisions_and_snapshots_are_thinned() -> None:
    mixed = tuple(MixedChoice(f"a{n}", ("k=3", "skip"), (1.0, 0.0), 0) for n in range(PANELS_CAP + 5))
    share = {choice.name: {"k=3": 0.5, "skip": 0.5} for choice in mixed}
    picture = probabilities_picture([Snapshot(step, share) for step in range(500)], mixed)
    assert picture is not None
    assert len(of_class(picture, "panel")) == PANELS_CAP
    assert "60 of 65 decisions" in picture.description
    area = of_class(picture, "area-of-candidate")[0].children[0]
    assert len(dict(area.attributes)["points"].split()) == SNAPSHOTS_CAP + 2
    assert "499" in texts(picture)


def test_the_front_is_marked_and_its_line_only_rises() -> None:
    networks = [(1.0, 0.5), (2.0, 0.4), (3.0, 0.7)]
    judged = tuple(Judged(score, {"macs": cost}) for cost, score in networks)
    (picture,) = front_pictures(
        History(evaluations=judged, front=judged, found=judged[0], caps={"macs": 2.5})
    )
    assert [len(of_class(picture, css)) for css in ("dot", "end", "ring", "limit")] == [3, 3, 1, 1]
    (line,) = of_class(picture, "course")
    assert len(dict(line.attributes)["points"].split()) == 2
    assert front_pictures(History(evaluations=(Judged(0.5, {}),))) == []


def test_metrics_are_named_with_units_that_fit() -> None:
    assert metric_of("latency on host", [0.08]).heading == "latency on host, ms"
    assert metric_of("latency on host", [0.008]).say(0.008) == "8.00 µs"
    assert metric_of("macs", [5.1e6, 10]).say(5.1e6) == "5.10 M"
    assert metric_of("peak_memory", [2048]).say(2048) == "2.00 KiB"
    assert metric_of("params", []).heading == "parameters"
