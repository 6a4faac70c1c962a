"""Training resumes bit for bit, may start from a supernet's weights, and judges in evaluation mode."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from compiler.nets.modules import Run  # noqa: E402
from compiler.nets.network import build_network  # noqa: E402
from compiler.nets.supernet import build_supernet  # noqa: E402
from dsl.settings import Adam, Sgd  # noqa: E402
from runtime.data.batches import Augmentation, Batches  # noqa: E402
from runtime.data.dataset import DataProblem, Dataset  # noqa: E402
from runtime.data.load import DataSource, load  # noqa: E402
from runtime.evaluate.accuracy import recalibrate, score  # noqa: E402
from runtime.events import EventLog  # noqa: E402
from runtime.files import FileProblem  # noqa: E402
from runtime.optimiser import Schedule  # noqa: E402
from runtime.train import TrainOptions, _Training, read_weights, train  # noqa: E402
from tests.small_spaces import derived, tiny_space  # noqa: E402

pytestmark = pytest.mark.torch

PICKS = (0, 1, 2)
NETWORK = derived(tiny_space(), PICKS)
OPTIONS = TrainOptions(
    epochs=4, batch=32, optimiser=Sgd(lr=0.1), augmentation=Augmentation(1), recalibration_batches=3
)

TENTH = Fraction(1, 10)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load(DataSource("digits"))


class Killed(Exception):
    pass


def killer(step: int) -> Any:
    def progress(now: Any) -> None:
        if now.step == step:
            raise Killed

    return progress


def test_it_learns_and_resumes_identically(digits: Dataset, tmp_path: Path) -> None:
    whole = train(NETWORK, digits, OPTIONS, tmp_path / "a")
    assert whole.test.accuracy > 0.6
    assert whole.test.count == len(digits.test)
    often = replace(OPTIONS, save_every_s=0.0)
    for step in (1, 30, 50):
        with pytest.raises(Killed):
            train(NETWORK, digits, often, tmp_path / "b", progress=killer(step))
    resumed = train(NETWORK, digits, often, tmp_path / "b")
    assert resumed.test == whole.test
    first, second = read_weights(whole.parameters), read_weights(resumed.parameters)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert set(first) == set(build_network(NETWORK).state_dict())


ADAM = replace(OPTIONS, epochs=2, batch=64, optimiser=Adam(0.02, weight_decay=0.1))
RECIPES = {
    "adam": ADAM,
    "everything": replace(ADAM, ema=0.9, augmentation=Augmentation(1, False, 0.3, 2, 0.2)),
}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_learns_and_resumes_identically(digits: Dataset, tmp_path: Path, name: str) -> None:
    whole = train(NETWORK, digits, RECIPES[name], tmp_path / "a")
    assert whole.test.accuracy > 0.3
    often = replace(RECIPES[name], save_every_s=0.0)
    for step in (1, 25):
        with pytest.raises(Killed):
            train(NETWORK, digits, often, tmp_path / "b", progress=killer(step))
    resumed = train(NETWORK, digits, often, tmp_path / "b")
    assert resumed.parameters.read_bytes() == whole.parameters.read_bytes()


def test_the_average_is_what_is_written(digits: Dataset, tmp_path: Path) -> None:
    """With a decay near 1 it is the plain mean of the weights after each step."""
    seen: list[dict[str, torch.Tensor]] = []
    steady = replace(OPTIONS, epochs=1, ema=1 - 1e-9, schedule=Schedule("constant"))
    batches = Batches(digits.all_training, digits.preprocessing, 32, 0, "train", OPTIONS.augmentation)
    stage = _Training(build_network(NETWORK), batches, steady, None, None)
    stage.follow({"steps": 5})
    with EventLog(tmp_path / "log.jsonl") as log:
        for index in range(5):
            stage.step(index, log)
            weights = dict(stage.module.named_parameters())
            seen.append({key: tensor.detach().clone() for key, tensor in weights.items()})
    stage.finish()
    for key, tensor in stage.module.named_parameters():
        mean = torch.stack([each[key] for each in seen]).mean(0)
        torch.testing.assert_close(tensor.detach(), mean, rtol=1e-4, atol=1e-5)


def test_it_starts_from_the_supernets_weights(digits: Dataset, tmp_path: Path) -> None:
    initial = build_supernet(tiny_space(), seed=9).network_tensors(PICKS)
    still = replace(OPTIONS, epochs=1, optimiser=Sgd(lr=1e-12))
    trained = read_weights(train(NETWORK, digits, still, tmp_path, initial).parameters)
    assert torch.allclose(trained["layer2.mbconv.conv1.weight"], initial["layer2.mbconv.conv1.weight"])
    with pytest.raises(ValueError, match=r"lack bn1\.weight"):
        train(NETWORK, digits, OPTIONS, tmp_path / "b", {"conv1.weight": initial["conv1.weight"]})


def test_a_budget_bounds_the_steps(digits: Dataset, tmp_path: Path) -> None:
    options = replace(OPTIONS, epochs=10_000, budget_s=1.0)
    result = train(NETWORK, digits, options, tmp_path)
    assert result.steps < 10_000
    assert result.describe()["test"]["count"] == len(digits.test)


def test_data_must_fit_and_the_loss_stay_finite(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="the network takes"):
        train(NETWORK, load(DataSource("digits", size=9)), OPTIONS, tmp_path / "a")
    wild = replace(OPTIONS, optimiser=Sgd(lr=1e30), schedule=Schedule("constant"))
    with pytest.raises(FileProblem, match="lower the learning rate"):
        train(NETWORK, digits, wild, tmp_path / "b")


def test_recalibration_is_the_mean_over_batches(digits: Dataset) -> None:
    module = build_network(NETWORK)
    batches = Batches(digits.train, digits.preprocessing, 200, 0, "test")
    inputs = [batches[index][0] for index in range(3)]
    recalibrate(module.train(), module, inputs)
    convolution = module.steps[0].module
    first = torch.stack([convolution([images], Run("evaluate")).mean((0, 2, 3)) for images in inputs])
    torch.testing.assert_close(module.state_dict()["bn1.running_mean"], first.mean(0), rtol=1e-4, atol=1e-5)
    assert all(step.module.settings.get("momentum", TENTH) == TENTH for step in module.steps)  # type: ignore[union-attr]
    judged = score(module.eval(), digits.test, digits.preprocessing)
    assert 0 <= judged.accuracy <= 1
