"""Tables as text: columns as wide as their widest cell, numbers to the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

GAP = "  "


def table_lines(
    header: Sequence[str], rows: Sequence[Sequence[str]], texts: Sequence[int] = (0,)
) -> Iterator[str]:
    """The lines of a table; `texts` are the columns that are aligned to the left."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = [
            cell.ljust(width) if place in texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield GAP.join(cells).rstrip()
