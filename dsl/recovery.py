"""Going on after a syntax error, so that a run reports every mistake once.

The parser is taken back to a state, and forward to a token, from which the rest of that token's line parses.
Of the places that do, the nearest token wins, then the state that throws least away. Braces are counted, so
that a mistake inside a block ends with that block, and what was skipped may open and close braces of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dsl.scan import OPENING

if TYPE_CHECKING:
    from lark import Token

# A terminal's entry is (Shift, next state) or (Reduce, rule); a rule's is (Shift, next state).
Table = dict[int, dict[str, tuple[Any, Any]]]

ITEM_STARTS = frozenset({"BLOCK", "SPACE", "TARGET", "SEARCH", "TRAIN", "USE"})
_SHORTEST_TRIAL = 3
_LONGEST_TRIAL = 30


def advance(table: Table, states: list[int], kind: str) -> bool:
    """Feed a terminal to a stack of states, in place; False where it does not fit."""
    from lark.parsers.lalr_analysis import Shift

    while True:
        action = table[states[-1]].get(kind)
        if action is None:
            return False
        if action[0] is Shift:
            states.append(action[1])
            return True
        size = len(action[1].expansion)
        if size:
            del states[-size:]
        states.append(table[states[-1]][action[1].origin.name][1])
        # The start rule ends the file: its goto state has no actions of its own.
        if kind == "$END" and not table[states[-1]]:
            return True


def expected(table: Table, states: list[int]) -> set[str]:
    """The terminals that fit a stack of states."""
    return {kind for kind in table[states[-1]] if _is_terminal(kind) and advance(table, list(states), kind)}


def _is_terminal(kind: str) -> bool:
    return kind.isupper()


def resume(
    table: Table, states: list[int], values: list[Any], tokens: list[Token], at: int
) -> tuple[int, int]:
    """The number of values to drop, and the index of the token to go on with, after an error at `tokens[at]`.

    `tokens` ends with `$END`, at which every stack can go on.
    """
    braces = _brace_depths(values)
    depth = lowest = braces[-1]
    for index in range(at, len(tokens)):
        token = tokens[index]
        top = _starts_item(tokens, index)
        if top or (depth == lowest and _may_resume(tokens, at, index)):
            trial = _trial(tokens, index)
            for dropped in range(1 if index == at else 0, len(values) + 1):
                if not top and braces[len(values) - dropped] != lowest:
                    continue
                reached = _reach(table, states[: len(states) - dropped], trial)
                if (
                    reached == len(trial)
                    or (reached and top)
                    or _is_convincing(tokens, index, trial, reached)
                ):
                    return dropped, index
        depth += {"LBRACE": 1, "RBRACE": -1}.get(token.type, 0)
        depth = max(depth, 0)
        lowest = min(depth, lowest)
    raise AssertionError("every stack can go on at the end of the file")


def open_brackets(values: list[Any]) -> list[Token]:
    """The brackets among a stack's values that are still open; one just closed may not be reduced yet."""
    opened: list[Token] = []
    for value in values:
        kind = getattr(value, "type", None)
        if kind in OPENING:
            opened.append(value)
        elif kind in OPENING.values():
            opened.pop()
    return opened


def _brace_depths(values: list[Any]) -> list[int]:
    """The number of open braces among the first n values, for each n."""
    depths = [0]
    for value in values:
        step = {"LBRACE": 1, "RBRACE": -1}.get(getattr(value, "type", ""), 0)
        depths.append(depths[-1] + step)
    return depths


def _starts_item(tokens: list[Token], index: int) -> bool:
    """Whether a token can only be the start of an item, whatever braces are open; or the end of the file."""
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    kind = tokens[index].type
    if kind == "TIED" and following is not None:
        kind = following.type
    return kind == "$END" or (kind in ITEM_STARTS and _starts_line(tokens, index))


def _starts_line(tokens: list[Token], index: int) -> bool:
    return index == 0 or tokens[index].line != tokens[index - 1].line


def _may_resume(tokens: list[Token], at: int, index: int) -> bool:
    """On the line of the error anywhere; on later lines at their start or at a closing brace."""
    token = tokens[index]
    return token.line == tokens[at].line or _starts_line(tokens, index) or token.type == "RBRACE"


def _trial(tokens: list[Token], index: int) -> list[str]:
    """The terminals up to the end of a token's line, or of the next line where that is short."""
    end = index + 1
    while end < len(tokens) and end < index + _LONGEST_TRIAL:
        if _starts_line(tokens, end) and end >= index + _SHORTEST_TRIAL:
            break
        end += 1
    return [token.type for token in tokens[index:end]]


def _reach(table: Table, states: list[int], trial: list[str]) -> int:
    """How many terminals fit."""
    for reached, kind in enumerate(trial):
        if not advance(table, states, kind):
            return reached
    return len(trial)


def _is_convincing(tokens: list[Token], index: int, trial: list[str], reached: int) -> bool:
    """A line with a mistake of its own is still a place to go on, unless what fails is a closing bracket."""
    return (
        reached > _SHORTEST_TRIAL and _starts_line(tokens, index) and trial[reached] not in OPENING.values()
    )
