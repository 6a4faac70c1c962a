"""Print a figure as SVG, or as one HTML file that needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.picture.marks import Marks
from compiler.picture.table import DecisionRow, decision_table
from runtime.picture.figure import Figure
from runtime.picture.shapes import Picture
from runtime.picture.templates import TEMPLATES, digest, environment


@dataclass(frozen=True)
class SpacePage:
    """What the HTML page shows: the picture, and the decisions as a table."""

    title: str
    source: str
    picture: Picture
    decisions: tuple[DecisionRow, ...]
    left_out: int
    has_choices: bool
    has_shares: bool


def svg_of(figure: Figure) -> str:
    """The picture as one SVG file: no script, no link, its own style and ground; the same values, the same bytes."""
    template = environment().get_template("picture.svg.j2")
    return template.render(picture=figure.picture, style=_style("picture.css"))


def html_of(figure: Figure, marks: Marks, source: str) -> str:
    """The picture in an HTML page with its decisions as a table; `source` names the file.

    No script, no request: the content security policy allows the two style sheets in it, by their hashes.
    """
    rows, left_out = decision_table(figure.space, figure.shown, marks)
    page = SpacePage(
        figure.space.name,
        source,
        figure.picture,
        rows,
        left_out,
        marks.choices is not None,
        bool(marks.shares),
    )
    styles = [_style("picture.css"), _style("page.css")]
    template = environment().get_template("picture.html.j2")
    return template.render(page=page, styles=styles, digests=[digest(style) for style in styles])


def _style(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
