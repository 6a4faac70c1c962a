"""A search trains its weights by any recipe, and goes on with the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from dsl.settings import Adam, Gradient  # noqa: E402
from runtime.data.batches import Augmentation  # noqa: E402
from runtime.data.load import DataSource, load  # noqa: E402
from runtime.search.options import SearchOptions  # noqa: E402
from runtime.search.problem import problem_of  # noqa: E402
from runtime.search.search import search  # noqa: E402
from tests.small_spaces import tiny_space  # noqa: E402

pytestmark = pytest.mark.torch

OPTIONS = SearchOptions(
    Gradient(every=4),
    epochs=1,
    warmup=1,
    batch=128,
    optimiser=Adam(0.01, weight_decay=0.1),
    augmentation=Augmentation(1, True, 0.3, 2, 0.4),
    recalibration_batches=2,
    save_every_s=0.0,
)


class Killed(Exception):
    pass


def kill_at_14(now: Any) -> None:
    if now.step == 14:
        raise Killed


def test_adam_and_mixup_resume_identically(tmp_path: Path) -> None:
    data, problem = load(DataSource("digits")), problem_of(tiny_space(), {}, [], "host")
    whole = search(problem, data, OPTIONS, tmp_path / "a")
    with pytest.raises(Killed):
        search(problem, data, OPTIONS, tmp_path / "b", progress=kill_at_14)
    resumed = search(problem, data, OPTIONS, tmp_path / "b")
    assert whole.parameters is not None
    assert resumed.parameters is not None
    assert resumed.parameters.read_bytes() == whole.parameters.read_bytes()
    assert resumed.validation == whole.validation
