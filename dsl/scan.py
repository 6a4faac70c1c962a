"""Text to tokens: the caps, the characters the language does not have, and the comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dsl import lookalikes
from dsl.diagnostic import Diagnostic, DiagnosticError, Note
from dsl.limits import (
    MAXIMUM_BYTES,
    MAXIMUM_DIGITS,
    MAXIMUM_EXPONENT,
    MAXIMUM_NESTING,
    MAXIMUM_SYNTAX_ERRORS,
    MAXIMUM_TOKENS,
)
from dsl.source import Source, Span

if TYPE_CHECKING:
    from lark import Lark, Token

OPENING = {"LBRACE": "RBRACE", "LPAR": "RPAR", "LSQB": "RSQB"}

_PLAIN = re.compile(r'[\s\w"#{}()\[\]|:,=<>+*/%.-]', re.ASCII)
_NUMBER = re.compile(r"(?P<whole>[0-9]+)(\.(?P<fraction>[0-9]+))?([eE](?P<exponent>[+-]?[0-9]+))?")


@dataclass(frozen=True, slots=True)
class Scan:
    """The tokens of a text, its comments, and what was wrong with its characters."""

    tokens: list[Token]
    comments: list[Span]
    diagnostics: list[Diagnostic]


@cache
def grammar() -> Lark:
    """The language's parser, made on first use."""
    from dsl.tables import lark_of

    return lark_of(files("grammar").joinpath("space.lark").read_text(encoding="utf-8"))


def scan(source: Source) -> Scan:
    """Split a text into tokens.

    Raises:
        DiagnosticError: the text is over one of the caps of `dsl.limits`.
    """
    if len(source.text.encode("utf-8", "surrogatepass")) > MAXIMUM_BYTES:
        message = f"the file is larger than {MAXIMUM_BYTES // 1024} KiB"
        raise DiagnosticError(
            [Diagnostic("E0002", message, source.span(0, 0), "split it and join with `use`")]
        )
    diagnostics: list[Diagnostic] = []
    tokens = []
    for token in _tokens(source, diagnostics):
        tokens.append(token)
        if len(tokens) > MAXIMUM_TOKENS:
            message = f"the file has more than {MAXIMUM_TOKENS:,} tokens"
            hint = "split it and join with `use`"
            raise DiagnosticError([Diagnostic("E0003", message, span_of(source, token), hint)])
    _check_nesting(source, tokens)
    _check_digits(source, tokens)
    diagnostics += _split_numbers(source, tokens)
    diagnostics += _string_problems(source, tokens)
    return Scan(tokens, list(_comments(source, tokens)), diagnostics)


def span_of(source: Source, token: Token) -> Span:
    """Where a token stands."""
    return source.span(token.start_pos or 0, token.end_pos or 0)


def _tokens(source: Source, diagnostics: list[Diagnostic]) -> Iterator[Token]:
    """The tokens of a text; an unknown character is reported, skipped, and scanning goes on."""
    from lark.exceptions import UnexpectedCharacters

    interactive = grammar().parse_interactive(source.text)
    lexer: Any = interactive.lexer_thread
    while len(diagnostics) < MAXIMUM_SYNTAX_ERRORS:
        try:
            yield from lexer.lex(interactive.parser_state)
            return
        except UnexpectedCharacters as unknown:
            problem = _unknown_characters(source, unknown.pos_in_stream or 0)
            diagnostics.append(problem)
            meant = _meant(problem)
            if meant is not None:
                yield _token_at(problem.span, *meant)
            lexer.state.line_ctr.feed(problem.span.text, True)


def _meant(problem: Diagnostic) -> tuple[str, str] | None:
    """The kind and the text of a token to go on with in place of what is not part of the language."""
    return ("STRING", '""') if problem.code == "E0011" else lookalikes.meant(problem.span.text)


def _token_at(span: Span, kind: str, text: str) -> Token:
    from lark import Token

    return Token(kind, text, start_pos=span.start, line=span.line, column=span.column, end_pos=span.end)


def _unknown_characters(source: Source, start: int) -> Diagnostic:
    text = source.text
    if text[start] == '"':
        # Closing brackets at the line's end were most likely meant as such.
        rest = text[start:].partition("\n")[0].rstrip(" \t\r)}")
        span = source.span(start, start + max(len(rest), 1))
        return Diagnostic("E0011", "this string is not closed", span, 'close it with `"` on the same line')
    quoted = lookalikes.QUOTED.match(text, start)
    end = quoted.end() if quoted else start + 1
    while not quoted and end < len(text) and not _PLAIN.match(text, end):
        end += 1
    message = f"{_shown(text[start])} is not part of the language"
    return Diagnostic("E0010", message, source.span(start, end), lookalikes.advice(text[start:end]))


def _shown(character: str) -> str:
    import unicodedata

    if character.isprintable() and not character.isspace():
        return f"`{character}`"
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def _comments(source: Source, tokens: list[Token]) -> Iterator[Span]:
    """The comments, which can stand only between two tokens: found there, a string's `#` is never one."""
    gaps = [0, *(token.end_pos or 0 for token in tokens)]
    ends = [*(token.start_pos or 0 for token in tokens), len(source.text)]
    for start, end in zip(gaps, ends, strict=True):
        for found in re.finditer(r"#[^\n]*", source.text[start:end]):
            yield source.span(start + found.start(), start + len(found.group().rstrip()) + found.start())


def _check_nesting(source: Source, tokens: list[Token]) -> None:
    opened: list[Token] = []
    for token in tokens:
        if token.type in OPENING:
            opened.append(token)
        elif token.type in OPENING.values() and opened:
            opened.pop()
        if len(opened) > MAXIMUM_NESTING:
            message = f"brackets are nested more than {MAXIMUM_NESTING} deep"
            note = Note("the outermost one", span_of(source, opened[0]))
            hint = "move an inner part to a block of its own"
            raise DiagnosticError([Diagnostic("E0004", message, span_of(source, token), hint, (note,))])


def _check_digits(source: Source, tokens: list[Token]) -> None:
    for token in tokens:
        parts = _NUMBER.match(token) if token.type in ("NUMBER", "QUANTITY") else None
        if parts is not None and _is_too_long(parts):
            message = f"a number may have {MAXIMUM_DIGITS} digits and an exponent up to {MAXIMUM_EXPONENT}"
            raise DiagnosticError([Diagnostic("E0005", message, span_of(source, token))])


def _split_numbers(source: Source, tokens: list[Token]) -> Iterator[Diagnostic]:
    """Numbers that run into a name, as in `3x3`; the name is taken out, so that parsing can go on."""
    glued = [
        index
        for index, (token, following) in enumerate(pairwise(tokens), 1)
        if token.type == "NUMBER" and following.type == "NAME" and following.start_pos == token.end_pos
    ]
    for index in reversed(glued):
        span = source.span(tokens[index - 1].start_pos or 0, tokens[index].end_pos or 0)
        hint = "a name starts with a letter or `_`; a product needs `*`"
        yield Diagnostic("E0016", f"`{span.text}` is neither a number nor a name", span, hint)
        del tokens[index]


def _string_problems(source: Source, tokens: list[Token]) -> Iterator[Diagnostic]:
    for token in tokens:
        if token.type == "STRING" and unquoted(token) is None:
            hint = r"a backslash is written `\\`; there are `\"`, `\n`, `\t` and `\u0041`"
            yield Diagnostic("E0011", "this string has an unknown escape", span_of(source, token), hint)


def unquoted(literal: str) -> str | None:
    """What a string literal says: JSON's escapes; None where one is unknown or half of a surrogate pair."""
    try:
        text: str = json.loads(literal, strict=False)
        text.encode("utf-8")
    except ValueError:
        return None
    return text


def _is_too_long(number: re.Match[str]) -> bool:
    digits = len(number["whole"]) + len(number["fraction"] or "")
    exponent = (number["exponent"] or "0").lstrip("+-").lstrip("0")
    return digits > MAXIMUM_DIGITS or len(exponent) > 2 or int(exponent or 0) > MAXIMUM_EXPONENT
