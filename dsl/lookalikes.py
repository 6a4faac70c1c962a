"""What editors, web pages and other languages put in place of the language's own characters."""

from __future__ import annotations

import re

_SINGLE = "'\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"
_DOUBLE = "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"

QUOTED = re.compile(rf"[{_SINGLE}][^\n{_SINGLE}]*[{_SINGLE}]|[{_DOUBLE}][^\n{_DOUBLE}]*[{_DOUBLE}]")
"""A string in quotes of another kind."""

_TOKENS = {
    "\N{RIGHTWARDS ARROW}": ("ARROW", "->"),
    "\N{MULTIPLICATION SIGN}": ("STAR", "*"),
    "\N{DIVISION SIGN}": ("SLASH", "/"),
    "\N{MINUS SIGN}": ("MINUS", "-"),
    "\N{EN DASH}": ("MINUS", "-"),
    "\N{LESS-THAN OR EQUAL TO}": ("LIMIT", "<="),
    "\N{GREATER-THAN OR EQUAL TO}": ("LIMIT", ">="),
    "\N{NOT EQUAL TO}": ("DIFFERENT", "!="),
    "\N{HORIZONTAL ELLIPSIS}": ("DOTS", ".."),
    "&": ("AND", "and"),
    "&&": ("AND", "and"),
    "!": ("NOT", "not"),
}


def advice(found: str) -> str | None:
    """What to do about characters that are not part of the language."""
    if found[0] in _SINGLE + _DOUBLE:
        return 'strings stand in double quotes: "..."'
    if found[0] == ";":
        return "statements need no separator"
    if found[0] == "^":
        return "there is no power operator; multiply"
    token = _TOKENS.get(found) or _TOKENS.get(found[0])
    return f"write `{token[1]}`" if token else None


def meant(found: str) -> tuple[str, str] | None:
    """The kind and the text of the token to go on with in their place, so that one mistake gives one message."""
    return ("STRING", '""') if QUOTED.fullmatch(found) else _TOKENS.get(found)
