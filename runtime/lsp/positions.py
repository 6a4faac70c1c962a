"""Offsets of a text, in code points, to the protocol's lines and columns, and back.

The protocol ends lines at `\\n`, `\\r\\n` and `\\r`, and counts columns in units of an encoding that client and
server agree on: UTF-16 unless the client asks for another.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache

from lsprotocol import types

from dsl.source import Source, Span

_LINE_END = re.compile(r"\r\n|\n|\r")


class Lines:
    """The lines of one text; `encoding` is `utf-8`, `utf-16` or `utf-32`."""

    def __init__(self, text: str, encoding: str) -> None:
        self.text = text
        self._width = {"utf-8": _utf8, "utf-32": len}.get(encoding, _utf16)
        ends = list(_LINE_END.finditer(text))
        self._starts = [0, *(each.end() for each in ends)]
        # Where the text of each line ends, before the characters that end it.
        self._ends = [*(each.start() for each in ends), len(text)]

    def position(self, offset: int) -> types.Position:
        """The place of an offset; one inside a line end is the line's last."""
        line = bisect_right(self._starts, offset) - 1
        end = min(offset, self._ends[line])
        return types.Position(line, self._width(self.text[self._starts[line] : end]))

    def offset(self, position: types.Position) -> int:
        """The offset of a place; one beyond its line is the line's end, one beyond the text the text's.

        A column in the middle of a character is the character's start.
        """
        if position.line >= len(self._starts):
            return len(self.text)
        start, end = self._starts[position.line], self._ends[position.line]
        low, high = start, end
        while low < high:
            middle = (low + high + 1) // 2
            if self._width(self.text[start:middle]) <= position.character:
                low = middle
            else:
                high = middle - 1
        return low

    def range(self, span: Span) -> types.Range:
        """The places of a span's ends."""
        return types.Range(self.position(span.start), self.position(span.end))

    def whole(self) -> types.Range:
        """The places of the text's ends."""
        return types.Range(types.Position(0, 0), self.position(len(self.text)))


def _utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _utf8(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=128)
def lines_of(source: Source, encoding: str) -> Lines:
    """The lines of a source, split once."""
    return Lines(source.text, encoding)
