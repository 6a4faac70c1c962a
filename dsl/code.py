"""One row of the table of diagnostic codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

NAME = "example.space"
"""What the file of a row's program is called in messages."""


@dataclass(frozen=True, slots=True)
class Made:
    """A program that a page cannot show: what it is, in words, and its bytes."""

    described: str
    build: Callable[[], bytes]


Program: TypeAlias = str | Made


@dataclass(frozen=True, slots=True)
class Code:
    """One row: `wrong` gives this code and no other, `right` is the same put right and gives none.

    `beside` are the texts of the files that the programs use, by path. With `asked` the code is given not by
    `onepath check` but where one space of the file is asked for, as `onepath count` does.
    """

    code: str
    title: str
    explanation: str
    wrong: Program
    right: Program
    beside: Mapping[str, str] = field(default_factory=dict)
    asked: bool = False

    def text(self, said: str = "") -> str:
        """The row as `onepath explain` prints it; `said` is what is said of the wrong program."""
        parts = [f"{self.code}: {self.title}", self.explanation]
        parts += [f"{head}\n\n{_indented(each)}" for head, each in self._examples(said)]
        return "\n\n".join(parts)

    def markdown(self, said: str = "") -> str:
        """The row as it stands in docs/diagnostics.md."""
        parts = [f"## {self.code}: {self.title}", self.explanation]
        parts += [f"{head}\n\n```\n{each}\n```" for head, each in self._examples(said)]
        return "\n\n".join(parts)

    def _examples(self, said: str) -> list[tuple[str, str]]:
        shown = self.beside if isinstance(self.wrong, str) else {}
        return [
            ("Wrong:", _shown(self.wrong)),
            *((f"with `{name}`:", text) for name, text in shown.items()),
            *([("Onepath says:", said)] if said else []),
            ("Right:", _shown(self.right)),
        ]


def encoded(program: Program) -> bytes:
    """The bytes of a program."""
    return program.encode("utf-8") if isinstance(program, str) else program.build()


def _shown(program: Program) -> str:
    return program if isinstance(program, str) else f"({program.described})"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
