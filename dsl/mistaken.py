"""What a syntax error most likely comes from: a word misspelt, a mark of another language, one left out."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from dsl.suggest import nearest
from dsl.units import UNITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lark import Token

COMPARISONS = frozenset({"SAME", "DIFFERENT", "LIMIT", "LESS", "MORE", "CONTAINS"})
ARITHMETIC = frozenset({"PLUS", "MINUS", "STAR", "SLASH", "FLOOR", "PERCENT"})
VALUE_STARTS = frozenset({"NUMBER", "STRING", "LPAR", "NAME"})
# Keywords are short: a looser cutoff takes `native` for `tied`.
_CLOSE = 0.75
_MOST_WORDS_BACK = 5

FOREIGN = {
    **dict.fromkeys(("def", "fn", "fun", "func", "function", "module"), "write `block name(out) { … }`"),
    **dict.fromkeys(("class", "net", "network", "model"), "write `space name { … }`"),
    **dict.fromkeys(("import", "include", "from"), 'write `use "blocks.space"`'),
    **dict.fromkeys(("for", "while", "loop"), "write `repeat 3 as i { … }`"),
    **dict.fromkeys(("let", "var", "const"), "a binding needs no word: write `name = value`"),
    **dict.fromkeys(("elif", "elseif", "elsif"), "write `else if`"),
    **dict.fromkeys(("oneof", "select", "switch", "match"), "write `choose { a | b }`"),
    "return": "the last pipe of a body is its value, without a word before it",
}
"""Words of other languages, and what to write for them."""

_PAIRS = {
    ("STAR", "STAR"): "there is no power operator; multiply",
    ("BINDS", "MORE"): "write `->`",
    ("MINUS", "MORE"): "write `->`, without a space in it",
    ("OF", "LBRACE"): "say how they are merged: `add choose 2 of { … }`",
}
"""Marks of other languages, as the two that they are here."""
_ALONE = {
    "ELSE": "`else` stands behind the `}` of an `if`",
    "LSQB": "there are no lists and no indices",
}


def misspelt(before: Sequence[Token], keywords: Set[str]) -> tuple[Token, str] | None:
    """The word before an error that was meant to be a keyword, and what to do; None where none was.

    That is the last token, or a word further up the line with which a statement seems to start.
    """
    for back, token in enumerate(reversed(before[-_MOST_WORDS_BACK:])):
        following = before[len(before) - back] if back else None
        if token.line != before[-1].line:
            return None
        if token.type != "NAME" or (
            following is not None and following.type not in ("NAME", "NUMBER", "STRING")
        ):
            continue
        if token in FOREIGN:
            return token, FOREIGN[str(token)]
        near = nearest(token, keywords, _CLOSE if back == 0 else 0.8)
        if near is not None:
            return token, f"did you mean `{near}`?"
    return None


def no_unit(found: Token, before: Sequence[Token]) -> tuple[Token, str] | None:
    """The word between a number and `on` that was meant to be a unit, and what to do."""
    if found.type != "ON" or [each.type for each in before[-2:]] != ["NUMBER", "NAME"]:
        return None
    units = [unit for each in UNITS.values() for unit in each]
    near = nearest(before[-1], units, cutoff=0.5)
    return before[
        -1
    ], f"did you mean `{near}`?" if near else f"the units of time are {', '.join(UNITS['time'])}"


def hint(tokens: Sequence[Token], at: int, expected: Set[str], keywords: Mapping[str, str]) -> str | None:
    """What to do about `tokens[at]`, where other terminals were expected."""
    found = tokens[at]
    pairs = zip(tokens[max(at - 1, 0) : at + 1], tokens[max(at, 1) : at + 2], strict=False)
    for first, second in pairs:
        if (first.type, second.type) in _PAIRS:
            return _PAIRS[first.type, second.type]
    if found.type in _ALONE:
        return _ALONE[found.type]
    if found.type == "BINDS" and "SAME" in expected:
        return "`==` compares; `=` binds a name"
    if found.type in ("BINDS", "LESS", "MORE", "SAME") and expected == {"LIMIT"}:
        return "a cap is written with `<=` or `>=`"
    if found.type == "COLON" and "BINDS" in expected:
        return "write `=`: a name is bound with `name = value`"
    if found.type in COMPARISONS and "AND" in expected:
        return "comparisons do not chain: write `a < b and b < c`"
    if found.type in ARITHMETIC and "LBRACE" in expected:
        return "a count that is computed stands in parentheses: `repeat (n - 1) { … }`"
    if found.type == "COMMA" and "VBAR" in expected:
        return "candidates and branches are separated by `|`"
    if found.type == "COMMA" and ("RBRACE" in expected or "$END" in expected):
        return "statements, settings and items need no separator"
    if found.type == "ARROW" and "NAME" in expected:
        return "a pipe starts with a step, which reads `in`; remove this `->`"
    if found.type in VALUE_STARTS and "COMMA" in expected and not expected & {"RBRACE", "$END"}:
        return "is a `,` missing before it?"
    if found in FOREIGN:
        return FOREIGN[str(found)]
    return _keyword(found, expected, keywords) or _statement(found, expected)


def _keyword(found: Token, expected: Set[str], keywords: Mapping[str, str]) -> str | None:
    """A keyword that fits there, near to the word found."""
    if found.type != "NAME":
        return None
    words = [keywords[each] for each in expected if each in keywords and keywords[each].isidentifier()]
    near = nearest(found, words)
    return f"did you mean `{near}`?" if near is not None else None


def _statement(found: Token, expected: Set[str]) -> str | None:
    if found.type in ("LPAR", "MINUS", "NUMBER", "STRING") and "RBRACE" in expected:
        return "a statement starts with a name or a keyword; bind the value to a name"
    return None
