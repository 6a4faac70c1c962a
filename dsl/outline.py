"""What tokens say of the place behind them, in a text that need not be whole: brackets, names, arguments.

The tree of a text that is being typed lacks what stands around the cursor; its tokens do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dsl.scan import OPENING

if TYPE_CHECKING:
    from lark import Token


def kind_at(tokens: Sequence[Token], index: int) -> str:
    """The terminal of the token at an index; empty where there is none."""
    return tokens[index].type if 0 <= index < len(tokens) else ""


def kind_back(tokens: Sequence[Token], back: int) -> str:
    """The terminal of a token counted from the end, the last at 1."""
    return kind_at(tokens, len(tokens) - back)


def opened(tokens: Sequence[Token]) -> list[int]:
    """The indices of the brackets that are still open, outermost first."""
    found: list[int] = []
    for index, token in enumerate(tokens):
        if token.type in OPENING:
            found.append(index)
        elif token.type in OPENING.values() and found:
            found.pop()
    return found


def locals_of(tokens: Sequence[Token]) -> dict[str, str]:
    """The parameters, bindings, inputs and indices known behind the tokens, each with what it is."""
    scopes: list[dict[str, str]] = [{}]
    parentheses = [0]
    coming: dict[str, str] = {}
    for index, token in enumerate(tokens):
        following = kind_at(tokens, index + 1)
        match token.type:
            case "LBRACE":
                scopes.append(coming)
                parentheses.append(0)
                coming = {}
            case "RBRACE" if len(scopes) > 1:
                scopes.pop()
                parentheses.pop()
            case "LPAR" | "LSQB":
                parentheses[-1] += 1
            case "RPAR" | "RSQB":
                parentheses[-1] -= 1
            case "VBAR":
                scopes[-1] = {}
            case "BLOCK":
                coming = _parameters(tokens, index)
            case "NAME" if kind_at(tokens, index - 1) == "AS" and following == "LBRACE":
                coming = {str(token): "index"}
            case "NAME" if kind_at(tokens, index - 1) == "INPUT":
                scopes[-1][str(token)] = "input"
            case "NAME" if following == "BINDS" and not parentheses[-1] and index + 2 < len(tokens):
                scopes[-1][str(token)] = "binding"
    # The parameters of a header whose brace does not stand yet are seen by its own defaults.
    return {name: what for scope in (*scopes[1:], coming) for name, what in scope.items()}


def _parameters(tokens: Sequence[Token], block: int) -> dict[str, str]:
    """The names in a block's parentheses, as far as they are written."""
    found: dict[str, str] = {}
    depth = 0
    for index in range(block + 2, len(tokens)):
        depth += {"LPAR": 1, "RPAR": -1}.get(tokens[index].type, 0)
        if depth < 1:
            break
        if depth == 1 and tokens[index].type == "NAME" and kind_at(tokens, index - 1) in ("LPAR", "COMMA"):
            found[str(tokens[index])] = "parameter"
    return found


@dataclass(frozen=True, slots=True)
class OpenCall:
    """The call whose parentheses are open: its callee, and which arguments stand already."""

    callee: str
    start: int
    positional: int
    named: tuple[str, ...]
    current: str | None


def open_call(tokens: Sequence[Token], bracket: int) -> OpenCall | None:
    """The call that an open parenthesis belongs to; `current` is the name of the argument being written."""
    if kind_at(tokens, bracket) != "LPAR" or kind_at(tokens, bracket - 1) != "NAME":
        return None
    if kind_at(tokens, bracket - 2) == "BLOCK":
        return None
    callee = str(tokens[bracket - 1])
    if kind_at(tokens, bracket - 2) == "DOT" and kind_at(tokens, bracket - 3) == "NAME":
        callee = f"{tokens[bracket - 3]}.{callee}"
    *done, last = _arguments(tokens, bracket)
    names = [_argument_name(each) for each in done]
    named = tuple(name for name in names if name is not None)
    return OpenCall(callee, bracket, len(names) - len(named), named, _argument_name(last))


def _arguments(tokens: Sequence[Token], bracket: int) -> list[list[Token]]:
    """The tokens behind an open parenthesis, split at the commas of its own."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens[bracket + 1 :]:
        if token.type in OPENING or token.type in OPENING.values():
            depth += 1 if token.type in OPENING else -1
        if token.type == "COMMA" and not depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _argument_name(tokens: Sequence[Token]) -> str | None:
    named = kind_at(tokens, 0) == "NAME" and kind_at(tokens, 1) == "BINDS"
    return str(tokens[0]) if named else None
