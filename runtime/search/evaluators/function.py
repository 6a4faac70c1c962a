"""A Python function as evaluator."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.ir.expression import Literal
from compiler.path_costs import Picks
from compiler.path_decisions import PathDecision, choices_of
from runtime.search.options import SearchProblem

ScoreFunction = Callable[[Mapping[str, Literal]], float]
"""From the choices of a network, by decision path, to its score."""


@dataclass(frozen=True)
class FunctionOfChoices:
    """The evaluator: `function` is called with the choices of one network, once for each network."""

    function: ScoreFunction
    decisions: Sequence[PathDecision]
    name: str

    @property
    def digest(self) -> str:
        """Of the function's name and its text, where that can be had."""
        try:
            text = inspect.getsource(self.function)
        except (OSError, TypeError):
            text = ""
        return hashlib.sha256(f"{self.name}\n{text}".encode()).hexdigest()

    def score_of(self, picks: Picks) -> float:
        """The score of one network.

        Raises:
            SearchProblem: the function failed, or gave no finite number.
        """
        choices = choices_of(self.decisions, picks)
        try:
            value: Any = self.function(choices)
        except Exception as problem:
            what = f"`{self.name}` failed for {dict(choices)}: {type(problem).__name__}: {problem}"
            raise SearchProblem(what, "mend the function; the search goes on from where it was") from problem
        try:
            score = float(value)
        except (TypeError, ValueError):
            score = math.nan
        if not math.isfinite(score):
            raise SearchProblem(f"`{self.name}` gave {value!r} for {dict(choices)}", "give a finite number")
        return score

    def known(self) -> None:
        """All networks of the space."""


def load_function(entry: str, folder: Path, decisions: Sequence[PathDecision]) -> FunctionOfChoices:
    """The evaluator of `module:name`; modules are looked for in `folder` first.

    Raises:
        SearchProblem: there is no such function.
    """
    module_name, _, name = entry.partition(":")
    way_out = "write `module:function`, of a module beside the file or installed"
    if not module_name or not name:
        raise SearchProblem(f"`{entry}` names no function", way_out)
    sys.path.insert(0, str(folder.resolve()))
    try:
        found = getattr(importlib.import_module(module_name), name, None)
    except Exception as problem:
        what = f"`{module_name}` cannot be imported ({type(problem).__name__}: {problem})"
        raise SearchProblem(what, way_out) from problem
    finally:
        sys.path.pop(0)
    if not callable(found):
        raise SearchProblem(f"`{module_name}` has no function `{name}`", way_out)
    return FunctionOfChoices(found, decisions, entry)
