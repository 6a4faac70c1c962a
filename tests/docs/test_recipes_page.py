"""docs/recipes.md: its space and its loader work together, and it names every setting of a recipe."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from compiler.frontend import analyse
from dsl.format import format_source
from dsl.schema import AUGMENTS, DATA, DISTILL, OPTIMIZERS, TRAIN
from dsl.settings import Distill
from dsl.source import Source

PAGE = (Path(__file__).resolve().parents[2] / "docs/recipes.md").read_text(encoding="utf-8")
(SPACE,) = re.findall(r"```space\n(.*?)```", PAGE, re.DOTALL)
(LOADER,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_space_is_sound() -> None:
    source = Source("birds.space", SPACE)
    assert analyse(source)[1] == []
    assert format_source(source) == SPACE


def test_every_setting_is_named() -> None:
    forms = [each for forms in (AUGMENTS, DISTILL, OPTIMIZERS) for each in forms]
    decays = [key.name for key in forms[-1].keys if key.name.endswith("weight_decay")]
    names = [key.name for form in (AUGMENTS[0], DISTILL[0]) for key in form.keys] + decays
    names += [form.name for form in forms] + ["image_folder", "npz", "python", "validation"]
    names += [key.name for key in TRAIN if key.name not in ("data", "seed")]
    assert {"image_folder", "npz", "python"} <= {form.name for form in DATA}
    for name in names:
        assert re.search(rf"`[^`]*\b{name}\b[^`]*`", PAGE), name


@pytest.mark.torch
def test_the_recipe_and_the_loader_work_together(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from dsl.settings import Sgd
    from runtime.experiment import load_experiment
    from runtime.options import load_data, train_options

    (tmp_path / "birds_data.py").write_text(LOADER)
    np.save(tmp_path / "photos.npy", np.random.default_rng(0).integers(0, 256, (90, 32, 32, 3), np.uint8))
    experiment = load_experiment(Source(str(tmp_path / "birds.space"), SPACE))
    data = load_data(experiment)
    assert data.classes == ("owl", "robin", "wren")
    assert np.bincount(data.validation.labels).tolist() == [5, 5, 5]
    data.check_fits((3, 32, 32), (3,))
    assert experiment.train is not None
    options = train_options(experiment.train)
    assert options.optimiser == Sgd(0.1, weight_decay=1e-4)
    assert (options.schedule.ramp, options.ema, options.augmentation.mixup) == (0.05, 0.999, 0.2)
    assert experiment.train.distill == Distill(None, 0.5, 4.0, 30)
