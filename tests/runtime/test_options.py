"""From a file's settings to the options of a search and a training."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("torch")

from dsl.settings import Adam, FromScratch, Sgd
from dsl.source import Source
from runtime.data.batches import Augmentation
from runtime.experiment import Experiment, load_experiment
from runtime.optimiser import Schedule
from runtime.options import load_data, search_options, train_options
from runtime.search.options import SearchOptions
from runtime.train import TrainOptions

pytestmark = pytest.mark.torch


def load(search: str = "", train: str = "") -> Experiment:
    text = (
        "space s { input [1, 8, 8]  output [10]  conv(choose(4, 8), 3) -> global_pool -> linear(10) }\n"
        f"search s {{ data = digits  {search} }}\ntrain s {{ {train} }}"
    )
    return load_experiment(Source("s.space", text))


def searched(settings: str) -> SearchOptions:
    found = load(search=settings).search
    assert found is not None
    return search_options(found)


def trained(settings: str) -> TrainOptions:
    found = load(train=settings).train
    assert found is not None
    return train_options(found)


def test_defaults_are_the_options_own() -> None:
    assert trained("") == TrainOptions()
    assert searched("") == SearchOptions()


def test_a_recipe_reaches_search_and_training() -> None:
    optimizer = "adam(lr = 0.01, beta1 = 0.8, weight_decay = 0.1, norm_weight_decay = 0.2)"
    recipe = f"optimizer = {optimizer}  augment = standard(crop = 2, colour = 0.1, cutout = 3, mixup = 0.4)"
    for options in (searched(recipe), trained(recipe)):
        assert options.optimiser == Adam(0.01, 0.8, 0.999, 0.1, 0.2, 0.0)
        assert options.augmentation == Augmentation(2, False, 0.1, 3, 0.4)
    assert trained("optimizer = sgd(bias_weight_decay = 0.1)").optimiser == Sgd(bias_weight_decay=0.1)
    assert trained("ema = 0.99").ema == 0.99


def test_superkernels_and_finals_reach_the_search() -> None:
    options = searched("superkernels = true  finals = from_scratch(networks = 3, epochs = 0.5)")
    assert (options.superkernels, options.finals) == (True, FromScratch(3, 0.5))


def test_a_folders_images_have_the_size_of_the_space(tmp_path: Path, own_cache: Path) -> None:
    for number in range(12):
        place = tmp_path / "photos" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), (number, 0, 0)).save(place / f"{number}.png")
    text = (
        "space s { input [1, 8, 8]  output [2]  conv(choose(4, 8), 3) -> global_pool -> linear(2) }\n"
        'search s { data = image_folder("photos") }'
    )
    data = load_data(load_experiment(Source(str(tmp_path / "s.space"), text)))
    data.check_fits((1, 8, 8), (2,))


def test_warm_up_is_a_share_of_all_epochs() -> None:
    assert trained("epochs = 20  lr_warmup = 5").schedule == Schedule("cosine", 0.25)
    assert trained("schedule = constant  lr_warmup = 0").schedule == Schedule("constant", 0.0)
    assert searched("epochs = 15  warmup = 5  lr_warmup = 1").schedule == Schedule("cosine", 0.05)
