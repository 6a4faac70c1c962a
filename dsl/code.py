"""One row of the table of diagnostic codes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """One row: `wrong` is a text that gives the code and `right` the same put right, where a text can show it."""

    code: str
    title: str
    explanation: str
    wrong: str = ""
    right: str = ""

    def text(self) -> str:
        """The row as `onepath explain` prints it."""
        parts = [f"{self.code}: {self.title}", self.explanation]
        parts += [f"{head}\n\n{_indented(each)}" for head, each in self._examples()]
        return "\n\n".join(parts)

    def markdown(self) -> str:
        """The row as it stands in docs/diagnostics.md."""
        parts = [f"## {self.code}: {self.title}", self.explanation]
        parts += [f"{head}\n\n```\n{each}\n```" for head, each in self._examples()]
        return "\n\n".join(parts)

    def _examples(self) -> list[tuple[str, str]]:
        return [(head, each) for head, each in (("Wrong:", self.wrong), ("Right:", self.right)) if each]


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
