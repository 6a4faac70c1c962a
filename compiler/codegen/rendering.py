"""Source text from the templates of this package."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, view: Any) -> str:
    """The text of a template, which knows what it is given as `view`; a name that is not there is an error."""
    # Source code is written, not HTML: escaping would spoil it.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(c_text=c_text, c_list=c_list, json=json.dumps)
    return environment.get_template(template).render(view=view)


def c_text(text: str) -> str:
    """A literal of C++'s `string_view`: UTF-8, with every byte that is not plain as three octal digits."""
    plain = (
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}" for byte in text.encode()
    )
    return f'"{"".join(plain)}"sv'


def c_list(values: Sequence[int | float]) -> str:
    """Numbers in braces; floating-point ones so that they are read back as they were."""
    return "{" + ", ".join(repr(value) for value in values) + "}"
