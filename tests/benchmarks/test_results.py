"""The results that are committed: each can be read, and the page of benchmarks has those of each benchmark."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESULTS = sorted((BENCHMARKS / "results").glob("*.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_result_can_be_read(path: Path) -> None:
    assert isinstance(json.loads(path.read_text()), dict)


def test_each_benchmark_is_on_the_page() -> None:
    """But for what others import: it has no command line."""
    page = (BENCHMARKS / "README.md").read_text()
    commands = [path.name for path in BENCHMARKS.glob("*.py") if "argparse" in path.read_text()]
    assert "tuner.py" in commands
    assert [name for name in commands if f"benchmarks/{name}" not in page] == []
