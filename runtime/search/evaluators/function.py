"""A Python function as evaluator.

It runs in this process, with its rights: as any Python file, a space with such an evaluator is for those who trust it.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.ir.expression import Literal
from compiler.path_costs import Picks
from compiler.path_decisions import PathDecision, choices_of
from runtime.data.dataset import DataProblem
from runtime.data.python_entry import entry_function, failed, importing_from
from runtime.search.options import SearchProblem

ScoreFunction = Callable[[Mapping[str, Literal]], float]
"""From the choices of a network, by decision path, to its score."""


@dataclass(frozen=True)
class FunctionOfChoices:
    """The evaluator: `function` is called with the choices of one network, once for each network.

    `folder` is where its imports are looked for first.
    """

    function: ScoreFunction
    decisions: Sequence[PathDecision]
    name: str
    folder: Path = Path()

    @property
    def digest(self) -> str:
        """Of the function's name and the text of its file, if any: a change of what that imports is not seen."""
        try:
            file = Path(inspect.getsourcefile(inspect.unwrap(self.function)) or "")
        except TypeError:
            file = Path()
        text = file.read_bytes() if file.is_file() else b""
        return hashlib.sha256(f"{self.name}\n".encode() + text).hexdigest()

    def score_of(self, picks: Picks) -> float:
        """The score of one network.

        Raises:
            SearchProblem: the function failed, or gave no finite number.
        """
        choices = choices_of(self.decisions, picks)
        try:
            with importing_from(self.folder):
                value: Any = self.function(choices)
        except (Exception, SystemExit) as problem:
            found = failed(self.name, problem, self.folder)
            raise SearchProblem(f"{found.what} for {choices}", found.way_out) from problem
        score = _number(value)
        if not math.isfinite(score):
            raise SearchProblem(f"`{self.name}` gave {value!r:.60} for {choices}", "return a finite number")
        return score

    def known(self) -> None:
        """All networks of the space."""


def _number(value: Any) -> float:
    try:
        return math.nan if isinstance(value, str | bytes | bool) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return math.nan


def load_function(entry: str, folder: Path, decisions: Sequence[PathDecision]) -> FunctionOfChoices:
    """The evaluator of `module:name`; modules are looked for in `folder` first.

    Raises:
        SearchProblem: there is no such function.
    """
    try:
        with importing_from(folder):
            function = entry_function(entry, folder)
    except DataProblem as problem:
        raise SearchProblem(problem.what, problem.way_out) from problem
    return FunctionOfChoices(function, decisions, entry, folder)
