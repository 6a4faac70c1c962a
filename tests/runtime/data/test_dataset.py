"""Splits are balanced, batches deterministic, and inputs normalised."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from runtime.data.batches import Augmentation, Batches  # noqa: E402
from runtime.data.dataset import DataProblem, Dataset, held_out  # noqa: E402
from runtime.data.load import DataSource, load  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load(DataSource("digits"), validation=0.25, seed=3)


def test_validation_is_balanced_and_held_out(digits: Dataset) -> None:
    train, validation = set(digits.train.indices.tolist()), set(digits.validation.indices.tolist())
    assert not train & validation
    assert len(train | validation) == len(digits.all_training) == len(digits.train.pool.labels)
    shares = torch.bincount(digits.validation.labels) / torch.bincount(digits.all_training.labels)
    assert (shares - 0.25).abs().max() < 0.01


def test_splits_follow_the_seed(digits: Dataset) -> None:
    assert load(DataSource("digits"), 0.25, 3).digest == digits.digest
    assert load(DataSource("digits"), 0.25, 4).digest != digits.digest


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
def test_unbalanced_classes_keep_their_shares(share: float) -> None:
    counts = torch.tensor([1000, 300, 40, 7, 3, 2])
    kept, out = held_out(torch.repeat_interleave(torch.arange(6), counts), share, 0)
    assert sorted([*kept.tolist(), *out.tolist()]) == list(range(int(counts.sum())))
    labels = torch.repeat_interleave(torch.arange(6), counts)
    found = torch.bincount(labels[out], minlength=6)
    wanted = torch.minimum((share * counts).round().clamp(min=1), counts - 1)
    assert found.tolist() == wanted.tolist()


def test_a_class_too_small_to_hold_out_is_named() -> None:
    with pytest.raises(DataProblem, match="class 1 has 1 image, too few"):
        held_out(torch.tensor([0, 0, 0, 0, 0, 1]), 0.2, 0)


def test_inputs_are_normalised_and_channels_last(digits: Dataset) -> None:
    inputs = digits.preprocessing.apply(digits.train.take(torch.arange(len(digits.train)))[0])
    assert abs(float(inputs.mean())) < 1e-5
    assert abs(float(inputs.std()) - 1) < 1e-3
    assert inputs.shape[1:] == (1, 8, 8)
    assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_description_is_plain(digits: Dataset) -> None:
    described = digits.preprocessing.describe()
    assert described["size"] == [1, 8, 8]
    assert described["labels"] == list("0123456789")


def test_network_must_fit(digits: Dataset) -> None:
    digits.check_fits((1, 8, 8), (10,))
    with pytest.raises(DataProblem, match=r"takes \[3, 8, 8\]"):
        digits.check_fits((3, 8, 8), (10,))
    with pytest.raises(DataProblem, match="10 classes"):
        digits.check_fits((1, 8, 8), (100,))


def test_batches_are_a_function_of_seed_and_step(digits: Dataset) -> None:
    series = [
        Batches(digits.train, digits.preprocessing, 64, 7, "train", Augmentation(1, True)) for _ in "ab"
    ]
    for index in (0, 5, series[0].an_epoch + 2):
        for left, right in zip(series[0][index], series[1][index], strict=True):
            assert torch.equal(left, right)


def test_an_epoch_sees_every_image_once(digits: Dataset) -> None:
    batches = Batches(digits.train, digits.preprocessing, 70, 0, "train")
    labels = torch.cat([batches[index][1] for index in range(batches.an_epoch)])
    assert len(labels) == 70 * batches.an_epoch > len(digits.train) - 70


def test_crops_and_flips_move_whole_images() -> None:
    pixels = torch.arange(1, 17, dtype=torch.uint8).reshape(1, 4, 4, 1).repeat(200, 1, 1, 1)
    moved = Augmentation(1, True).apply(pixels, torch.Generator().manual_seed(0))
    seen = {tuple(image.flatten().tolist()) for image in moved}
    padded = torch.nn.functional.pad(pixels[0, :, :, 0], (1, 1, 1, 1))
    windows = [padded[row : row + 4, column : column + 4] for row in range(3) for column in range(3)]
    possible = {tuple(view.flatten().tolist()) for window in windows for view in (window, window.flip(1))}
    assert seen == possible
