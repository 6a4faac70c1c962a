"""Pictures are safe, whole files: valid, bounded, the same bytes for the same values."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree

import pictured
import pytest

from compiler.frontend import space_of
from compiler.ir.graph import SpaceGraph
from compiler.picture.marks import Marks
from compiler.picture.words import TIMES
from dsl.source import Source
from runtime.picture.page import html_of, svg_of
from tests.compiler_spaces import shipped, space
from tests.dsl.spaces import SPACES, load

SVG = "{http://www.w3.org/2000/svg}"
ACTIVE = re.compile(
    r"<script|javascript:|\son\w+=|\sstyle=|url\(|@import|<foreignObject|href=", re.IGNORECASE
)
HOSTILE = '"><script>alert(1)</script>&'


@pytest.fixture(scope="module")
def small() -> SpaceGraph:
    return pictured.small()


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_picture_is_as_it_was_looked_at(small: SpaceGraph, golden: Callable[[str, str], None]) -> None:
    golden("picture/small.svg", svg_of(pictured.figure(small)))


def test_the_marked_picture_is_as_it_was_looked_at(
    small: SpaceGraph, golden: Callable[[str, str], None]
) -> None:
    marks = pictured.marks(small)
    golden("picture/marked.html", html_of(pictured.figure(small, marks), marks, "cell.space"))


def test_the_same_space_gives_the_same_bytes(small: SpaceGraph) -> None:
    assert svg_of(pictured.figure(small)) == svg_of(pictured.figure(pictured.small()))


@pytest.mark.parametrize("name", SPACES)
def test_pictures_are_xml_with_a_title_and_no_activity(name: str) -> None:
    svg = svg_of(pictured.figure(space_of(load(name))))
    root = ElementTree.fromstring(svg)
    assert [child.tag for child in root[:3]] == [f"{SVG}title", f"{SVG}desc", f"{SVG}style"]
    assert root.get("role") == "img"
    assert not ACTIVE.search(svg)
    assert re.findall(r"https?://[^\"]*", svg) == ["http://www.w3.org/2000/svg"]
    assert len(svg) < 500_000


def test_the_whole_of_proxyless_is_said_in_text() -> None:
    found = texts(svg_of(pictured.figure(shipped("proxyless_mobile"))))
    assert found.count("kernel 5, expand 6") == 21
    assert found.count("skip") == 15
    assert "stage6" in found
    assert f"24 {TIMES} 56 {TIMES} 56" in found
    assert "221,502,229,807,900,608 networks · 57 decisions in 21 mixed ops" in found


def test_a_marked_picture_says_cost_choices_and_probabilities(small: SpaceGraph) -> None:
    svg = svg_of(pictured.figure(small, pictured.marks(small)))
    assert any(text.startswith("This network: ") and "MACs" in text for text in texts(svg))
    assert svg.count(' chosen shared">') == 3
    assert "57.1 %" in texts(svg)
    assert "entropy 1.38 bits of 1.58" in svg


def test_the_page_allows_its_own_styles_alone(small: SpaceGraph) -> None:
    html = html_of(pictured.figure(small), Marks(), "cell.space")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert len(re.findall(r"<style>", html)) == policy.count("sha256-") == 2
    assert not ACTIVE.search(html)
    assert "http" not in html.replace("http-equiv", "")


def test_the_page_closes_what_it_opens(small: SpaceGraph) -> None:
    opened: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "input"):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Reader(convert_charrefs=True).feed(html_of(pictured.figure(small), Marks(), "cell.space"))
    assert opened == []


def test_names_of_files_and_spaces_cannot_bring_markup() -> None:
    text = "space it { input [3, 8, 8]\n output [3]\n conv(3, choose(3, 5)) -> global_pool }"
    graph = dataclasses.replace(space_of(Source(f"dir/{HOSTILE}.space", text)), name=HOSTILE)
    for page in (svg_of(pictured.figure(graph)), html_of(pictured.figure(graph), Marks(), HOSTILE)):
        assert "<script" not in page
        assert "&lt;script&gt;" in page
    ElementTree.fromstring(svg_of(pictured.figure(graph)))


def test_a_space_without_a_decision_says_so() -> None:
    graph = space("conv(4, 3) -> global_pool")
    html = html_of(pictured.figure(graph), Marks(), "it.space")
    assert "Nothing in this space is left to choose." in html


@pytest.mark.parametrize(
    "body",
    [
        "conv(16, 3) -> repeat 900 as i { residual { choose { a: conv(16, 3) -> bn | b: conv(16, 5) -> bn } } }",
        "conv(16, 3) -> repeat 2000 as i { conv(16, 3) -> bn -> relu }",
        "conv(16, 3) -> repeat 500 as i { conv(16, choose(1..15 step 2)) }",
    ],
)
def test_a_space_at_the_caps_stays_small_and_quick(body: str) -> None:
    graph = space(f"{body} -> global_pool")
    began = time.process_time()
    svg = svg_of(pictured.figure(graph))
    assert time.process_time() - began < 5
    assert len(svg) < 1_000_000
    assert "folded" in svg
