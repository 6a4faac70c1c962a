"""Every diagnostic code, in one table: what `onepath explain` prints and docs/diagnostics.md holds.

E00 is spelling, E01 and W01 what can be told without evaluating, E02 and E03 what lowering finds, E04
settings. A code keeps its meaning for good; one that is no longer given keeps its row.
"""

from __future__ import annotations

from dsl.code import Code
from dsl.codes_lowering import LOWERING_CODES
from dsl.codes_settings import SETTINGS_CODES
from dsl.codes_text import TEXT_CODES

CODES: dict[str, Code] = {
    each.code: each
    for each in sorted((*TEXT_CODES, *LOWERING_CODES, *SETTINGS_CODES), key=lambda row: row.code)
}
"""The table, by code."""


def markdown() -> str:
    """The whole of docs/diagnostics.md."""
    head = (
        "# Diagnostics\n\n"
        "Every code that Onepath's front end gives, with an example. `onepath explain CODE` prints one of them.\n"
        "Codes that start with `E` are errors, those with `W` warnings. This page is written from `dsl/codes.py`."
    )
    return "\n\n".join([head, *(each.markdown() for each in CODES.values())]) + "\n"
