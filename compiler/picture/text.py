"""How wide text is, without a font at hand.

The widths are those of DejaVu Sans, in thousandths of the font's size, by classes of characters. It is the widest of
the fonts that the pictures ask for, so that what fits by this measure fits in any of them.
"""

from __future__ import annotations

from functools import cache

_CLASSES = {"iljI.,:;'|! ": 320, 'frt()[]-/"{}·': 420, "mwMW%@→": 960, "+=<>~≤≥": 840}
_WIDTHS = {character: width for characters, width in _CLASSES.items() for character in characters}
_DIGIT, _UPPER, _OTHER = 640, 720, 620
_BOLD = 1.1
ELLIPSIS = "…"


@cache
def width(text: str, size: float, bold: bool = False) -> float:
    """The width of a text, in pixels, at a font size in pixels; never less than what a browser makes of it."""
    total = sum(_of(character) for character in text)
    return total * size / 1000 * (_BOLD if bold else 1)


def _of(character: str) -> int:
    if character.isdigit():
        return _DIGIT
    return _WIDTHS.get(character, _UPPER if character.isupper() else _OTHER)


def fitted(text: str, size: float, limit: float) -> str:
    """The text, its middle left out where it is wider than `limit`: both ends of a path tell it from others."""
    if width(text, size) <= limit:
        return text
    kept = len(text) - 1
    while kept > 2 and width(_shortened(text, kept), size) > limit:
        kept -= 1
    return _shortened(text, kept)


def ending(path: str, size: float, limit: float) -> str:
    """The path, its outer places left out where it is wider than `limit`."""
    parts = path.split(".")
    for first in range(len(parts)):
        text = ".".join(parts[first:])
        text = f"{ELLIPSIS}{text}" if first else text
        if width(text, size) <= limit:
            return text
    return fitted(f"{ELLIPSIS}{parts[-1]}", size, limit)


def _shortened(text: str, kept: int) -> str:
    head = (kept + 1) // 2
    return text[:head] + ELLIPSIS + text[len(text) - (kept - head) :]
