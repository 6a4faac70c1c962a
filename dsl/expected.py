"""Syntax errors in human words: what was expected, what was found, what was probably meant."""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import cache
from typing import TYPE_CHECKING

from dsl import mistaken
from dsl.diagnostic import Diagnostic, Note
from dsl.recovery import ITEM_STARTS
from dsl.scan import OPENING, grammar, span_of
from dsl.source import Source, Span
from dsl.suggest import listed

if TYPE_CHECKING:
    from lark import Token

_WORDS = {
    "NAME": "a name",
    "NUMBER": "a number",
    "QUANTITY": "a number with a unit",
    "STRING": "a string",
    "LIMIT": "`<=` or `>=`",
    "$END": "the end of the file",
}
_OPERATORS = mistaken.COMPARISONS | {"PLUS", "MINUS", "STAR", "SLASH", "FLOOR", "PERCENT", "AND", "OR"}
_STEP_STARTS = {"NAME", "IN", "RESIDUAL", "REPEAT", "IF"}
# What may begin a value, a step or an item, and so is covered by one word for all.
_GROUPS: tuple[tuple[str, Set[str], Set[str]], ...] = (
    ("an item such as `block` or `space`", ITEM_STARTS, ITEM_STARTS | {"TIED", "NAME"}),
    (
        "a value",
        mistaken.VALUE_STARTS,
        mistaken.VALUE_STARTS
        | _STEP_STARTS
        | {"QUANTITY", "TRUE", "FALSE", "MINUS", "NOT", "CHOOSE", "ADD", "CONCAT", "MUL", "TIED"},
    ),
    ("a step", _STEP_STARTS, _STEP_STARTS | {"CHOOSE", "ADD", "CONCAT", "MUL", "TIED"}),
)
# What may follow any name, and so says little about a mistake.
_CONTINUATIONS = {"LPAR", "DOT", "AS"}


@cache
def keywords() -> dict[str, str]:
    """The text of each keyword and punctuation mark, by terminal."""
    from lark.lexer import PatternStr

    return {
        each.name: each.pattern.value for each in grammar().terminals if isinstance(each.pattern, PatternStr)
    }


def explain(
    source: Source, tokens: Sequence[Token], at: int, expected: Set[str], opened: list[Token]
) -> Diagnostic:
    """The diagnostic of one syntax error.

    `expected` are the terminals that could have stood in place of `tokens[at]`; `opened` the brackets still open.
    """
    found, before = tokens[at], tokens[:at]
    span = span_of(source, found)
    if found.type in OPENING.values() and not any(OPENING[each.type] == found.type for each in opened):
        return Diagnostic("E0014", f"`{found}` closes nothing", span, "remove it, or open the bracket before")
    unclosed = _unclosed(found, expected, opened)
    if unclosed is not None:
        note = Note("opened here", span_of(source, unclosed))
        message = f"`{unclosed}` is not closed before {shown(found)}"
        hint = f"`{keywords()[OPENING[unclosed.type]]}` is missing"
        if found.type in ITEM_STARTS and found.column != 1:
            hint += f"; or `{found}` stands in braces, and belongs at the top of the file"
        return Diagnostic("E0013", message, span, hint, (note,))
    return _word_before(source, found, before) or _here(tokens, at, span, expected)


def _word_before(source: Source, found: Token, before: Sequence[Token]) -> Diagnostic | None:
    """The diagnostic where a word before `found` is the mistake."""
    unit = mistaken.no_unit(found, before)
    if unit is not None:
        return Diagnostic("E0012", f"`{unit[0]}` is no unit", span_of(source, unit[0]), unit[1])
    words = {each for each in keywords().values() if each.isidentifier()}
    word = mistaken.misspelt(before, words) if found.type != "BINDS" else None
    if word is None:
        return None
    last = before[-1]
    follows = "it" if last is word[0] else f"`{last}`"
    message = f"`{word[0]}` is no keyword, and {shown(found)} cannot follow {follows}"
    return Diagnostic("E0012", message, span_of(source, word[0]), word[1])


def _here(tokens: Sequence[Token], at: int, span: Span, expected: Set[str]) -> Diagnostic:
    found, following = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else None
    name = "NAME" in expected and _is_word(found)
    # Where a step or a value may stand, only what follows says that a name was meant.
    if name and ("IN" not in expected or (following is not None and following.type == "BINDS")):
        return Diagnostic(
            "E0015", f"`{found}` is a keyword and cannot be a name", span, "choose another name"
        )
    message = f"expected {_in_words(expected)}, found {shown(found)}"
    hint = mistaken.hint(tokens, at, expected, keywords())
    return Diagnostic(
        "E0012", message, span, hint or (f"`{found}` is a keyword and cannot be a name" if name else None)
    )


def shown(token: Token) -> str:
    """A token as it stands in a message."""
    if token.type == "$END":
        return "the end of the file"
    text = str(token) if len(token) <= 40 else f"{token[:37]}..."
    return f"`{text}`"


def _is_word(token: Token) -> bool:
    return token.type in keywords() and token.isidentifier()


def _unclosed(found: Token, expected: Set[str], opened: list[Token]) -> Token | None:
    """The innermost open bracket, where `found` shows that its partner was forgotten."""
    if not opened:
        return None
    partner = OPENING[opened[-1].type]
    ends = found.type == "$END" or found.type in OPENING.values() or found.type in ITEM_STARTS
    return opened[-1] if ends and (partner in expected or found.type == "$END") else None


def _in_words(expected: Set[str]) -> str:
    rest = set(expected)
    words = []
    for word, needed, covered in _GROUPS:
        if needed <= rest:
            words.append(word)
            rest -= covered
    if len(rest & _OPERATORS) > 3:
        rest -= _OPERATORS
        words.append("an operator")
    if words or rest - _CONTINUATIONS:
        rest -= _CONTINUATIONS
    marks = sorted(_WORDS.get(each) or f"`{keywords()[each]}`" for each in rest)
    return listed([*marks, *words]) if marks or words else "nothing more"
