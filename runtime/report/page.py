"""Print a report as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from runtime.files import write_atomic
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
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = _environment().get_template("report.html.j2")
    return template.render(page=page_of(report), style=style, style_digest=digest)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
