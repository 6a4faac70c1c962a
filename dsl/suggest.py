"""Words of messages: the known name nearest to one that is not known, lists, numbers of things."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], cutoff: float = 0.65) -> str | None:
    """The candidate that `name` was most likely meant to be, or None where none is near."""
    # Imported here: it is needed only once something is wrong.
    from difflib import get_close_matches

    spelled = {candidate.lower(): candidate for candidate in sorted(known, reverse=True)}
    close = get_close_matches(name.lower(), spelled, n=1, cutoff=cutoff)
    return spelled[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint naming the nearest candidate, or None."""
    near = nearest(name, known)
    return f"did you mean `{near}`?" if near is not None else None


def listed(words: Iterable[str], last: str = "or") -> str:
    """`a, b or c`."""
    *rest, end = words
    return f"{', '.join(rest)} {last} {end}" if rest else end


def counted(number: int, what: str, several: str | None = None) -> str:
    """`1 network`, `1,024 networks`; `several` is the plural that an `s` does not make."""
    return f"{number:,} {what if number == 1 else several or f'{what}s'}"
