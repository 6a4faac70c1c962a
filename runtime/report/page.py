"""Print a report as one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from runtime.files import write_atomic
from runtime.picture.templates import digest, environment
from runtime.report.content import page_of
from runtime.report.values import Report

TEMPLATES = Path(__file__).parent / "templates"


def write_report(path: Path, report: Report) -> Path:
    """Write `report.html`.

    Raises:
        FileProblem: the place cannot be written.
    """
    return write_atomic(path, render(report))


def render(report: Report) -> str:
    """The page as HTML; the same report gives the same bytes.

    No script, no request: the content security policy allows the one style sheet in it, by its hash.
    """
    style = (TEMPLATES / "report.css").read_text()
    template = environment(TEMPLATES).get_template("report.html.j2")
    return template.render(page=page_of(report), style=style, style_digest=digest(style))
