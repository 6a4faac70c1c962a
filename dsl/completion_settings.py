"""What may be typed in the braces of a target, a search or a recipe: keys, words, forms and their settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from dsl.outline import kind_back, open_call
from dsl.schema import SECTIONS, Key
from dsl.units import METRICS

if TYPE_CHECKING:
    from lark import Token

SuggestionKind: TypeAlias = Literal[
    "argument",
    "attribute",
    "block",
    "constant",
    "file",
    "function",
    "keyword",
    "local",
    "operator",
    "setting",
    "space",
    "target",
    "unit",
    "word",
]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something that may be typed; `insert` is what to write where that is more than the label."""

    label: str
    kind: SuggestionKind
    detail: str = ""
    insert: str | None = None


def setting_suggestions(
    section: str, tokens: Sequence[Token], brackets: Sequence[int], name_fits: bool
) -> Iterator[Suggestion]:
    """What fits in a section; `brackets` are the open brackets, the section's brace first."""
    keys = SECTIONS[section][0]
    call = open_call(tokens, brackets[-1]) if len(brackets) > 1 else None
    if call is not None:
        keys = _keys_of_form(keys, call.callee)
    given = set(call.named) if call is not None else _set(tokens, brackets[0])
    if kind_back(tokens, 1) == "BINDS":
        name = str(tokens[-2])
        yield from (each for key in keys if key.name == name for each in _values(key))
    elif name_fits:
        kind: SuggestionKind = "setting" if call is None else "argument"
        yield from (
            Suggestion(key.name, kind, key.means, f"{key.name} = ") for key in keys if key.name not in given
        )
        if section == "search" and call is None:
            yield from (Suggestion(metric, "setting", "a limit") for metric in METRICS)


def _keys_of_form(keys: Sequence[Key], callee: str) -> tuple[Key, ...]:
    forms = (form for key in keys for form in key.forms if form.name == callee)
    return next((form.keys for form in forms), ())


def _set(tokens: Sequence[Token], brace: int) -> set[str]:
    """The keys that have a value already."""
    pairs = zip(tokens[brace:], tokens[brace + 1 :], strict=False)
    return {str(one) for one, two in pairs if one.type == "NAME" and two.type == "BINDS"}


def _values(key: Key) -> Iterator[Suggestion]:
    words = ("true", "false") if key.kind == "flag" else key.words
    yield from (Suggestion(word, "word", key.means) for word in words)
    yield from (Suggestion(form.name, "word", key.means) for form in key.forms)
