"""The templates of pictures and pages, and what lets a page hold its style sheets and nothing else."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment(*folders: Path) -> Environment:
    """Jinja2 over `folders` and the templates of pictures: everything escaped, nothing undefined."""
    return Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def digest(style: str) -> str:
    """The SHA-256 by which a content security policy allows a style sheet."""
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
