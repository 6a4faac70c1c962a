"""The spaces that tests of the text layer read: `tests/golden/dsl/spaces`."""

from __future__ import annotations

from pathlib import Path

from dsl.reading import read
from dsl.source import Source

FOLDER = Path(__file__).parent.parent / "golden" / "dsl" / "spaces"
SPACES = sorted(path.stem for path in FOLDER.glob("*.space"))


def load(name: str) -> Source:
    """The source of a space by name; reported without its folder."""
    return Source(f"{name}.space", read(FOLDER / f"{name}.space").text)
