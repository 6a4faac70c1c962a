"""Every diagnostic code, in one table: what `onepath explain` prints and docs/diagnostics.md holds.

E00 is spelling, E01 and W01 what can be told without evaluating, E03 what lowering finds, E04 settings. A code
keeps its meaning for good: the number of one that is no longer given is not used again.
"""

from __future__ import annotations

from dsl.code import Code
from dsl.codes_lowering import LOWERING_CODES
from dsl.codes_names import NAME_CODES
from dsl.codes_settings import SETTINGS_CODES
from dsl.codes_spelling import SPELLING_CODES

CODES: dict[str, Code] = {
    each.code: each
    for each in sorted(
        (*SPELLING_CODES, *NAME_CODES, *LOWERING_CODES, *SETTINGS_CODES), key=lambda row: row.code
    )
}
"""The table, by code."""
