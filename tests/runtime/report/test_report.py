"""The report is one safe file, the same bytes for the same values, and says what was measured."""

from __future__ import annotations

import dataclasses
import re
import xml.dom.minidom
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sample_report

from runtime.files import FileProblem
from runtime.report.content import page_of
from runtime.report.layers import initials, layers_of, short_labels
from runtime.report.numbers import apart, count, figures, microseconds, milliseconds, seconds, ticks, times
from runtime.report.page import render, write_report
from runtime.report.values import History, MixedChoice, Report


@pytest.fixture(scope="module")
def report() -> Report:
    return sample_report.sample()


def test_the_page_is_as_it_was_read_and_looked_at(report: Report, golden: Callable[[str, str], None]) -> None:
    golden("report/sample.html", render(report))


def test_the_same_values_give_the_same_bytes(report: Report, tmp_path: Path) -> None:
    assert write_report(tmp_path / "a.html", report).read_text() == render(sample_report.sample())


def test_nothing_is_asked_of_the_network_and_nothing_runs(report: Report) -> None:
    html = render(report)
    assert "default-src 'none'" in html
    assert not re.search(r"<script|javascript:|\son\w+=|\sstyle=|https?://|url\(|@import", html)


def test_what_comes_from_outside_is_escaped(report: Report) -> None:
    hostile = "</title><script>alert(1)</script>"
    html = render(
        dataclasses.replace(
            report,
            title=hostile,
            source=hostile,
            notes=(hostile,),
            benchmark=dataclasses.replace(
                report.benchmark,
                versions={hostile: hostile},
                stages_s={hostile: 1.0},
                machine={hostile: [hostile]},
            ),
        )
    )
    assert "<script" not in html
    assert "&lt;script&gt;" in html


class Tags(HTMLParser):
    """Checks that every element is closed in order, and collects ids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", ["quickstart", "proxyless_mobile", "mobilenet_v2"])
def test_every_space_gives_well_formed_pictures_with_titles(name: str) -> None:
    html = render(sample_report.sample(name))
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids))
    for drawing in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        root = xml.dom.minidom.parseString(drawing).documentElement
        assert root is not None
        assert root.getElementsByTagName("title")
        assert "nan" not in drawing


def test_a_report_without_search_training_peers_and_kernels_stands(report: Report) -> None:
    bench = report.benchmark
    bare = dataclasses.replace(
        bench, kernels=(), peers={}, agreement={}, stages_s={}, accuracy_test=None,
        latency_predicted_ms=None, latency_predicted_before_ms=None,
        prediction_error=None, untuned_tvm_latency_p50_ms=None, machine={}, noise={}, versions={},
    )  # fmt: skip
    page = page_of(
        dataclasses.replace(
            report, benchmark=bare, search=History(), training=History(), cap_ms=None, table=None
        )
    )
    assert page.search.empty
    assert (page.training, page.kernels, page.stages) == ((), (), None)
    assert {row[4] for row in page.layers} == {"-"}
    assert [tile.name for tile in page.tiles] == ["Latency, median", "MACs"]


def test_doubts_are_said_at_the_top(report: Report) -> None:
    bench = dataclasses.replace(report.benchmark, noise={"noisy": True}, agreement={"bundle_torch": 0.02})
    warnings = page_of(dataclasses.replace(report, benchmark=bench)).warnings
    assert "noisy" in warnings[0]
    assert "bundle and torch differ by 2.0e-02" in warnings[1]


def test_skipped_layers_keep_their_place(report: Report) -> None:
    layers = layers_of(report.network, report.mixed)
    assert [layer.choice for layer in layers if layer.choice] == list(report.mixed)
    assert [layer.title for layer in layers if layer.output is None] == ["skip", "skip"]
    assert layers[0].choice is None
    assert layers[-1].title == "linear"


def test_labels_are_shortened_where_they_stay_apart() -> None:
    one = MixedChoice("a", ("mbconv kernel=3 expand=6", "skip"), (0.5, 0.5), 0)
    two = MixedChoice("b", ("mbconv kernel=3", "other kernel=3"), (0.5, 0.5), 0)
    assert short_labels([one]) == {"mbconv kernel=3 expand=6": "kernel 3, expand 6", "skip": "skip"}
    assert short_labels([one, two])["other kernel=3"] == "other, kernel 3"
    assert initials("kernel 3, expand 6") == "k3 e6"


def test_numbers_carry_their_units() -> None:
    space = "\N{NO-BREAK SPACE}"
    assert milliseconds(0.3123) == f"0.312{space}ms"
    assert milliseconds(0.0042) == f"4.20{space}µs"
    assert milliseconds(12.34) == f"12.3{space}ms"
    assert microseconds(0.0042) == "4.20"
    assert seconds(95.4) == f"1{space}min{space}35{space}s"
    assert count(2_734_000) == f"2.73{space}M"
    assert count(40) == "40"
    assert times(13.7) == "13.7\N{MULTIPLICATION SIGN}"
    assert apart(-0.041) == f"4.1{space}% under"
    assert (figures(0), figures(1234.5), figures(0.000012)) == ("0", "1,234", "0.000012")


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 1) == [0, 0.25, 0.5, 0.75, 1]
    assert ticks(0.21, 2.4) == [1, 2]
    assert ticks(3, 3) == [3]


def test_a_place_that_cannot_be_written_is_a_message(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileProblem, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", report)


@pytest.mark.parametrize(("error", "told"), [(-0.04, False), (0.35, True), (-0.35, True)])
def test_a_prediction_that_is_far_off_says_how_to_measure_its_table_anew(
    report: Report, error: float, told: bool
) -> None:
    bench = dataclasses.replace(report.benchmark, prediction_error=error)
    words = page_of(dataclasses.replace(report, benchmark=bench)).latency_words
    assert ("onepath profile --restart" in words) == told
