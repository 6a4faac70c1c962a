"""Data from a function: found beside the file or installed, checked, its own errors shown as they are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from dsl.source import Source  # noqa: E402
from runtime.data.dataset import DataProblem, Dataset  # noqa: E402
from runtime.data.load import DataSource, load  # noqa: E402
from runtime.experiment import load_experiment  # noqa: E402
from runtime.options import load_data  # noqa: E402

pytestmark = pytest.mark.torch

GOOD = """\
from __future__ import annotations
from dataclasses import dataclass
import numpy as np
import sizes_of_mine

@dataclass
class Part:
    count: int

def arrays(path=None):
    rng = np.random.default_rng(len(path.read_text()) if path else 0)
    labels = np.repeat([0, 1, 2], [30, 12, 5])
    def images(count):
        return rng.integers(0, 256, (count, sizes_of_mine.SIDE, sizes_of_mine.SIDE, 3), dtype=np.uint8)
    return {
        "x_train": images(47), "y_train": labels, "x_test": images(6), "y_test": [0, 0, 1, 1, 2, 2],
        "classes": ["cat", "dog", "owl"],
    }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a loader, and a module that the loader imports."""
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "mine.py").write_text(GOOD)
    (tmp_path / "sizes_of_mine.py").write_text("SIDE = 6\n")
    return tmp_path


def loaded(folder: Path, entry: str = "mine:arrays", path: Path | None = None) -> Dataset:
    return load(DataSource("python", path, entry=entry, folder=folder), validation=0.2)


def test_arrays_of_a_function(folder: Path) -> None:
    before = list(sys.path)
    data = loaded(folder)
    assert data.classes == ("cat", "dog", "owl")
    assert data.preprocessing.describe()["size"] == [3, 6, 6]
    assert torch.bincount(data.validation.labels).tolist() == [6, 2, 1]
    assert data.name == "mine"
    assert sys.path == before


def test_identity_is_that_of_the_arrays(folder: Path) -> None:
    (folder / "raw.txt").write_text("12345")
    first, again, other = loaded(folder), loaded(folder), loaded(folder, path=folder / "raw.txt")
    assert first.digest == again.digest != other.digest
    (folder / "mine.py").write_text("# a remark\n" + GOOD)
    assert loaded(folder).digest == first.digest
    (folder / "mine.py").write_text(GOOD.replace("else 0", "else 1"))
    assert loaded(folder).digest != first.digest


def test_an_installed_module_is_found(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "birds"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "data.py").write_text(GOOD.replace("import sizes_of_mine", "from birds import sizes_of_mine"))
    (package / "sizes_of_mine.py").write_text("SIDE = 5\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert loaded(folder, "birds.data:arrays").preprocessing.height == 5


def test_a_file_names_its_function(folder: Path) -> None:
    (folder / "raw.txt").write_text("12345")
    text = (
        "space s { input [3, 6, 6]  output [3]  conv(choose(4, 8), 3) -> global_pool -> linear(3) }\n"
        'search s { data = python("mine:arrays", path = "raw.txt") }'
    )
    experiment = load_experiment(Source(str(folder / "s.space"), text))
    assert load_data(experiment).digest == loaded(folder, path=folder / "raw.txt").digest


def changed(key: str, value: str) -> str:
    return f"{GOOD}\ndef wrong():\n    return {{**arrays(), {key!r}: {value}}}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (changed("x_train", "np.zeros((47, 6, 6, 3))"), r"`x_train` is float64; give images as uint8"),
        (changed("x_train", "np.zeros((47, 6, 6, 2), np.uint8)"), r"`x_train` has images of shape \[47"),
        (changed("x_test", "np.zeros((6, 5, 5, 3), np.uint8)"), "differ in size"),
        (changed("y_train", "np.zeros((47, 3))"), r"`y_train` is float64 of shape \[47, 3\]"),
        (changed("y_train", "[0, 1, 2]"), "47 training images of mine and 3 labels"),
        (changed("y_test", "[0, 1, 2, 3, 0, 1]"), "not from 0 to 2"),
        (changed("x_train", "[[1], [2, 3]]"), "`x_train` is no array"),
        (changed("classes", "['cat', 'dog', 'owl', 'fox']"), "no training image of mine is of class `fox`"),
        ("def wrong(): return 1", "`mine:wrong` returned int, no dict; return a dict of x_train"),
        ("def wrong(): return {'x_train': 1}", "lacks y_train, x_test, y_test"),
        (
            "def wrong():\n    raise ValueError('no such bird')",
            r"with ValueError: no such bird; see .*line 2",
        ),
        ("def wrong():\n    import sys\n    sys.exit('out')", "with SystemExit: out"),
        ("def wrong():\n    int('x')", r"invalid literal for int.*mine\.py, line 2"),
        ("def wrong(:", r"`mine` failed with SyntaxError.*line 1"),
        ("import not_there_at_all", "with ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("1 / 0", r"with ZeroDivisionError: division by zero; see .*mine\.py, line 1"),
        ("wrong = 3", "`wrong` of `mine:wrong` is no function"),
        ("right = 3", "`wrong` of `mine:wrong` is not there"),
    ],
)
def test_what_is_wrong_is_told(folder: Path, text: str, said: str) -> None:
    (folder / "mine.py").write_text(text)
    with pytest.raises(DataProblem, match=f"(?s){said}"):
        loaded(folder, "mine:wrong")


def test_a_missing_module_is_told(folder: Path) -> None:
    with pytest.raises(DataProblem, match=r"there is no module `theirs`; write theirs\.py into"):
        loaded(folder, "theirs:arrays")
    with pytest.raises(DataProblem, match=r"there is no module `theirs\.deep`"):
        loaded(folder, "theirs.deep:arrays")
    with pytest.raises(DataProblem, match="needs an entry"):
        load(DataSource("python"))
