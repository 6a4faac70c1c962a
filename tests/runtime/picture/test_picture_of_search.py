"""The log of a real search marks the picture of its space."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from compiler.picture.marks import Marks, fit_shares  # noqa: E402
from dsl.settings import Gradient  # noqa: E402
from runtime.data.load import DataSource, load  # noqa: E402
from runtime.picture.figure import figure_of  # noqa: E402
from runtime.picture.page import svg_of  # noqa: E402
from runtime.picture.probabilities import read_probabilities  # noqa: E402
from runtime.search.options import SearchOptions  # noqa: E402
from runtime.search.problem import problem_of  # noqa: E402
from runtime.search.search import search  # noqa: E402
from tests.small_spaces import tiny_space  # noqa: E402

pytestmark = pytest.mark.torch


def test_a_search_marks_every_candidate(tmp_path: Path) -> None:
    space = tiny_space()
    gates = Gradient(every=2)
    options = SearchOptions(gates, epochs=0.3, warmup=0, batch=64, seed=1, recalibration_batches=1)
    result = search(problem_of(space, {}), load(DataSource("digits"), seed=1), options, tmp_path / "search")
    given = read_probabilities(tmp_path, space.name)
    assert given.shares == result.probabilities
    marks = Marks(result.choices, fit_shares(space.graph, given.shares))
    svg = svg_of(figure_of(space, space, marks, [given.source]))
    candidates = sum(len(row) for row in given.shares.values())
    assert svg.count(' class="percent"') == candidates
    assert svg.count(' class="outline"') == len(given.shares) + 1  # the key shows one, too
    assert "of a search under way" in svg
