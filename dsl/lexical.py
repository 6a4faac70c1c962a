"""What each terminal of the grammar is to a reader: the one table behind every highlighter.

A terminal that is new in the grammar is told by its shape, so that a new keyword is coloured by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from dsl.expected import keywords
from dsl.scan import grammar

Look: TypeAlias = Literal[
    "comment",
    "string",
    "quantity",
    "number",
    "declaration",
    "control",
    "constant",
    "in",
    "merge",
    "word operator",
    "name",
    "operator",
    "punctuation",
    "white space",
]

_LOOKS: dict[Look, tuple[str, ...]] = {
    "comment": ("COMMENT",),
    "string": ("STRING",),
    "quantity": ("QUANTITY",),
    "number": ("NUMBER",),
    "declaration": (
        *("BLOCK", "SPACE", "TARGET", "SEARCH", "TRAIN", "USE", "INPUT", "OUTPUT", "REQUIRE"),
        "TIED",
    ),
    "control": ("IF", "THEN", "ELSE", "REPEAT", "RESIDUAL", "CHOOSE", "WHEN", "OF", "AS", "ON", "STEP"),
    "constant": ("TRUE", "FALSE"),
    "in": ("IN",),
    "merge": ("ADD", "CONCAT", "MUL"),
    "word operator": ("AND", "OR", "NOT", "CONTAINS"),
    "name": ("NAME",),
    "operator": (
        *("BINDS", "ARROW", "DOTS", "SAME", "DIFFERENT", "LIMIT", "LESS", "MORE", "VBAR"),
        *("PLUS", "MINUS", "STAR", "FLOOR", "SLASH", "PERCENT"),
    ),
    "punctuation": ("LPAR", "RPAR", "LBRACE", "RBRACE", "LSQB", "RSQB", "COMMA", "COLON", "DOT"),
    "white space": ("WS",),
}
_OF = {terminal: look for look, terminals in _LOOKS.items() for terminal in terminals}
DECLARING = ("BLOCK", "SPACE", "TARGET", "SEARCH", "TRAIN")
"""The keywords that a name follows which is worth a colour of its own."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal with its regular expression, which Python's `re` and Oniguruma read alike."""

    name: str
    look: Look
    pattern: str

    @property
    def is_word(self) -> bool:
        """Whether it is a keyword in letters, which must not match the beginning of a name."""
        return keywords().get(self.name, "").isidentifier()


def terminals() -> list[Terminal]:
    """Every terminal, in an order in which the first that matches is the right one."""
    found = [
        Terminal(each.name, look_of(each.name), each.pattern.to_regexp()) for each in grammar().terminals
    ]
    order = list(_LOOKS)
    # Of two operators the longer comes first: `==` before `=`.
    return sorted(found, key=lambda each: (order.index(each.look), -len(each.pattern), each.name))


def look_of(terminal: str) -> Look:
    """What a terminal is; one that the table does not know is a control word or an operator."""
    text = keywords().get(terminal, "")
    return _OF.get(terminal) or ("control" if text.isidentifier() else "operator")


def words(look: Look) -> Iterator[str]:
    """The keywords of a look, as they are written."""
    yield from (keywords()[each.name] for each in terminals() if each.look == look and each.is_word)
