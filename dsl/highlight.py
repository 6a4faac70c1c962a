"""`.space` texts in colour by Pygments, made from the grammar's terminals; Pygments finds it by its entry point.

Pygments is imported here alone, and this module by nothing of Onepath.
"""

from __future__ import annotations

from typing import Any

from pygments.lexer import RegexLexer, bygroups
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from dsl.lexical import DECLARING, Look, Terminal, terminals

LOOKS: dict[Look, Any] = {
    "comment": Comment.Single,
    "string": String.Double,
    "quantity": Number,
    "number": Number,
    "declaration": Keyword.Declaration,
    "control": Keyword,
    "constant": Keyword.Constant,
    "in": Name.Builtin.Pseudo,
    "merge": Name.Builtin,
    "word operator": Operator.Word,
    "name": Name,
    "operator": Operator,
    "punctuation": Punctuation,
    "white space": Whitespace,
}
"""Pygments' token type for each look."""


def _rules() -> list[tuple[str, Any]]:
    """The rules in order: what is declared, what is called and what is set stand before plain names."""
    found: dict[str, Terminal] = {each.name: each for each in terminals()}
    name = found["NAME"].pattern
    declaring = "|".join(found[each].pattern for each in DECLARING)
    special = [
        (rf"({declaring})(\s+)({name})", bygroups(LOOKS["declaration"], Whitespace, Name.Class)),
        (rf"{name}(?=\s*\()", Name.Function),
        (rf"{name}(?=\s*=(?!=))", Name.Attribute),
    ]
    rules: list[tuple[str, Any]] = []
    for each in found.values():
        if each.name == "NAME":
            rules += special[1:]
        rules.append((rf"{each.pattern}\b" if each.is_word else each.pattern, LOOKS[each.look]))
    return [special[0], *rules]


class SpaceLexer(RegexLexer):  # type: ignore[misc]
    """Lexer of the `.space` language."""

    name = "Onepath space"
    aliases = ("space", "onepath")
    filenames = ("*.space",)
    mimetypes = ("text/x-onepath-space",)
    tokens = {"root": _rules()}  # noqa: RUF012 - Pygments' metaclass reads a plain dictionary
