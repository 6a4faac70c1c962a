"""Syntax errors in human words: what was expected, what was found, what was probably meant."""

from __future__ import annotations

from collections.abc import Set
from functools import cache
from typing import TYPE_CHECKING

from dsl.diagnostic import Diagnostic, Note
from dsl.recovery import ITEM_STARTS
from dsl.scan import OPENING, grammar, span_of
from dsl.source import Source
from dsl.suggest import listed, nearest

if TYPE_CHECKING:
    from lark import Token

_WORDS = {
    "NAME": "a name",
    "NUMBER": "a number",
    "QUANTITY": "a number with a unit",
    "STRING": "a string",
    "LIMIT": "`<=`",
    "$END": "the end of the file",
}
_COMPARISONS = {"SAME", "DIFFERENT", "LIMIT", "LESS", "MORE", "CONTAINS"}
_OPERATORS = _COMPARISONS | {"PLUS", "MINUS", "STAR", "SLASH", "FLOOR", "PERCENT", "AND", "OR"}
_VALUE_STARTS = {"NUMBER", "STRING", "LPAR", "NAME"}
_STEP_STARTS = {"NAME", "IN", "RESIDUAL", "REPEAT", "IF"}
# What may begin a value, a step or an item, and so is covered by one word for all.
_GROUPS: tuple[tuple[str, Set[str], Set[str]], ...] = (
    ("an item such as `block` or `space`", ITEM_STARTS, ITEM_STARTS | {"TIED", "NAME"}),
    (
        "a value",
        _VALUE_STARTS,
        _VALUE_STARTS
        | _STEP_STARTS
        | {"QUANTITY", "TRUE", "FALSE", "MINUS", "NOT", "CHOOSE", "ADD", "CONCAT", "MUL", "TIED"},
    ),
    ("a step", _STEP_STARTS, _STEP_STARTS | {"CHOOSE", "ADD", "CONCAT", "MUL", "TIED"}),
)
# What may follow any name, and so says little about a mistake.
_CONTINUATIONS = {"LPAR", "DOT", "AS"}
# Keywords are short: a looser cutoff takes `native` for `tied`.
_CLOSE = 0.75


@cache
def keywords() -> dict[str, str]:
    """The text of each keyword and punctuation mark, by terminal."""
    from lark.lexer import PatternStr

    return {
        each.name: each.pattern.value for each in grammar().terminals if isinstance(each.pattern, PatternStr)
    }


def explain(
    source: Source, found: Token, previous: Token | None, expected: Set[str], opened: list[Token]
) -> Diagnostic:
    """The diagnostic of one syntax error.

    `expected` are the terminals that could have stood in `found`'s place; `opened` the brackets still open.
    """
    span = span_of(source, found)
    if found.type in OPENING.values() and not any(OPENING[each.type] == found.type for each in opened):
        return Diagnostic("E0014", f"`{found}` closes nothing", span, "remove it, or open the bracket before")
    unclosed = _unclosed(found, expected, opened)
    if unclosed is not None:
        note = Note("opened here", span_of(source, unclosed))
        message = f"`{unclosed}` is not closed before {shown(found)}"
        return Diagnostic(
            "E0013", message, span, f"`{keywords()[OPENING[unclosed.type]]}` is missing", (note,)
        )
    if "NAME" in expected and _is_word(found):
        return Diagnostic(
            "E0015", f"`{found}` is a keyword and cannot be a name", span, "choose another name"
        )
    message = f"expected {_in_words(expected)}, found {shown(found)}"
    return Diagnostic("E0012", message, span, _hint(found, previous, expected))


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


def _hint(found: Token, previous: Token | None, expected: Set[str]) -> str | None:
    """What the mistake most likely was."""
    if found.type == "BINDS" and "SAME" in expected:
        return "`==` compares; `=` binds a name"
    if found.type in _COMPARISONS and "AND" in expected:
        return "comparisons do not chain: write `a < b and b < c`"
    if found.type == "COMMA" and ("RBRACE" in expected or "$END" in expected):
        return "statements, settings and items need no separator"
    if found.type == "ARROW" and "NAME" in expected:
        return "a pipe starts with a step, which reads `in`; remove this `->`"
    if found in ("elif", "elseif", "elsif"):
        return "write `else if`"
    misspelled = _misspelled(found, previous, expected)
    if misspelled is None and found.type in ("LPAR", "MINUS", "NUMBER", "STRING") and "RBRACE" in expected:
        return "a statement starts with a name or a keyword; bind the value to a name"
    return misspelled


def _misspelled(found: Token, previous: Token | None, expected: Set[str]) -> str | None:
    """A keyword near to the word found, where it fits there, or near to the word before it."""
    words = keywords()
    if found.type == "NAME":
        near = nearest(
            found, [words[each] for each in expected if each in words and words[each].isidentifier()]
        )
        if near is not None:
            return f"did you mean `{near}`?"
    if previous is not None and previous.type == "NAME" and found.type != "BINDS":
        near = nearest(previous, [each for each in words.values() if each.isidentifier()], _CLOSE)
        if near is not None:
            return f"did you mean `{near}` instead of `{previous}`?"
    return None
