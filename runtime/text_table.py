"""Tables as text: columns as wide as their widest cell, numbers to the right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

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


def field_lines(
    fields: Mapping[str, Any], word: Callable[[Any], str], name: Callable[[str], str] = str, indent: str = ""
) -> Iterator[str]:
    """A name and a value a line; what is in a mapping stands below its name, a list of mappings as a table of their
    fields. `word` and `name` write them."""
    names = {field: name(field) for field in fields}
    width = max(map(len, names.values()), default=0)
    for field, value in fields.items():
        if isinstance(value, Mapping):
            yield f"{indent}{names[field]}"
            yield from field_lines(value, word, name, indent + "  ")
        elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
            yield f"{indent}{names[field]}"
            yield from (f"{indent}  {line}" for line in _rows(value, word, name))
        else:
            yield f"{indent}{names[field]:{width}}  {word(value)}"


def _rows(
    rows: Sequence[Mapping[str, Any]], word: Callable[[Any], str], name: Callable[[str], str]
) -> Iterator[str]:
    """Mappings of the same fields, one a line; columns of texts are aligned to the left."""
    fields = list(rows[0])
    texts = [place for place, field in enumerate(fields) if isinstance(rows[0][field], str)]
    yield from table_lines(
        [*map(name, fields)], [[word(row[each]) for each in fields] for row in rows], texts
    )
