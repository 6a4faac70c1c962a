"""Text to syntax tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dsl.builder import build
from dsl.diagnostic import Diagnostic, DiagnosticError, has_errors, in_order
from dsl.expected import explain
from dsl.limits import MAXIMUM_SYNTAX_ERRORS
from dsl.recovery import advance, expected, open_brackets, resume
from dsl.scan import grammar, scan
from dsl.source import Source
from dsl.syntax import File

if TYPE_CHECKING:
    from lark import Token, Tree


def parse(source: Source) -> tuple[File | None, list[Diagnostic]]:
    """The syntax tree of a text, and what is wrong with its spelling.

    With errors the tree holds what could be read; what stands around an error is missing from it, and it is
    None where a cap of `dsl.limits` refused the text. Raises nothing, whatever the text.
    """
    try:
        scanned = scan(source)
        diagnostics = list(scanned.diagnostics)
        tree = _Run(source, scanned.tokens, diagnostics).tree()
        return (None if tree is None else build(source, tree)), in_order(diagnostics)
    except DiagnosticError as error:
        return None, list(error.diagnostics)


def parsed(source: Source) -> File:
    """The syntax tree of a text without mistakes in its spelling.

    Raises:
        DiagnosticError: the text has some.
    """
    file, diagnostics = parse(source)
    if file is None or has_errors(diagnostics):
        raise DiagnosticError(diagnostics)
    return file


def fitting(source: Source, end: int) -> tuple[set[str], list[Token]]:
    """The terminals that could stand at an offset, as far as the text before it says, and the tokens before it.

    Raises:
        DiagnosticError: a cap of `dsl.limits` refuses the text.
    """
    before = Source(source.name, source.text[:end])
    tokens = scan(before).tokens
    state: Any = grammar().parse_interactive("").parser_state
    run = _Run(before, tokens, [])
    run.feed(state, [*tokens, run.end()], len(tokens))
    return expected(state.parse_conf.parse_table.states, state.state_stack), tokens


@dataclass
class _Run:
    """One parse: feeds tokens to Lark's LALR automaton, and at an error reports it and resumes."""

    source: Source
    tokens: list[Token]
    diagnostics: list[Diagnostic]

    def tree(self) -> Tree[Token] | None:
        """Lark's tree, or None where there were too many errors to go on."""
        state: Any = grammar().parse_interactive("").parser_state
        tokens = [*self.tokens, self.end()]
        tree: Tree[Token] | None = self.feed(state, tokens, len(tokens))
        return tree

    def feed(self, state: Any, tokens: list[Token], count: int) -> Any:
        """Feed the first `count` tokens, and give what came of the last; None where there were too many errors.

        `tokens` ends with `$END`, fed or not: recovery needs a place where every stack can go on.
        """
        table = state.parse_conf.parse_table.states
        index, result = 0, None
        while index < count:
            # Tried on the states alone first: Lark reduces before it finds out that a token does not fit,
            # and its reductions change what is on the stack of values.
            if advance(table, list(state.state_stack), tokens[index].type):
                result = state.feed_token(tokens[index], tokens[index].type == "$END")
                index += 1
            else:
                index = self._recover(state, tokens, index)
                if len(self.diagnostics) >= MAXIMUM_SYNTAX_ERRORS:
                    return None
        return result

    def _recover(self, state: Any, tokens: list[Token], at: int) -> int:
        table = state.parse_conf.parse_table.states
        opened = open_brackets(state.value_stack)
        fits = expected(table, state.state_stack)
        problem = explain(self.source, tokens, at, fits, opened)
        # What the scan refused and put right may still not fit: one mistake, one message.
        if all(problem.span.start != each.span.start for each in self.diagnostics):
            self.diagnostics.append(problem)
        dropped, index = resume(table, state.state_stack, state.value_stack, tokens, at)
        if dropped:
            del state.state_stack[-dropped:]
            del state.value_stack[-dropped:]
        return index

    def end(self) -> Token:
        """The token behind the last, where nothing but white space and comments is left."""
        from lark import Token

        end = len(self.source.text.rstrip())
        line, column = self.source.position(end)
        return Token("$END", "", start_pos=end, line=line, column=column, end_pos=end)
