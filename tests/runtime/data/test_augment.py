"""Each change of a batch does what its paper or Pillow says, and a batch stays a function of seed and step."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance

torch = pytest.importorskip("torch")

from runtime.data.augment import cut_out, mixed_up, recoloured  # noqa: E402
from runtime.data.batches import Augmentation, Batches  # noqa: E402
from runtime.data.dataset import Labelled, Raw, dataset_of  # noqa: E402

pytestmark = pytest.mark.torch

ALL = Augmentation(crop=2, flip=True, colour=0.4, cutout=4, mixup=0.4)


def images(count: int = 40, size: int = 12, channels: int = 3) -> torch.Tensor:
    stream = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, size, size, channels), generator=stream).to(torch.uint8)


def batches(augmentation: Augmentation, channels: int = 3) -> Batches:
    part = Labelled(images(channels=channels), torch.arange(40) % 4)
    data = dataset_of(Raw("noise", ("a", "b", "c", "d"), part, part), 0.2, 0)
    return Batches(data.train, data.preprocessing, 16, 5, "train", augmentation)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def enhanced(pixels: np.ndarray, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    """Pillow's three enhancements, one after the other."""
    image = Image.fromarray(pixels)
    image = ImageEnhance.Brightness(image).enhance(brightness)
    image = ImageEnhance.Contrast(image).enhance(contrast)
    return np.asarray(ImageEnhance.Color(image).enhance(saturation), np.float32)


def test_colours_are_those_of_pillow() -> None:
    """On images of middle values, where nothing is clipped; Pillow cuts off fractions three times."""
    pixels = images() // 4 + 96
    changed = recoloured(pixels, 0.3, seeded())
    factors = 1 + 0.3 * (2 * torch.rand(3, len(pixels), 1, 1, generator=seeded()) - 1)
    for image, result, given in zip(pixels, changed, factors.flatten(1).T.tolist(), strict=True):
        wanted = enhanced(image.numpy(), *given)
        assert np.abs(result.numpy() - wanted).max() < 4, given
    assert (changed - pixels).abs().mean() > 5


def test_colours_stay_in_range_and_grey_images_grey() -> None:
    assert recoloured(images(), 1.0, seeded()).min() == 0
    assert recoloured(images(), 1.0, seeded()).max() == 255
    grey = images(channels=1)
    one, three = recoloured(grey, 0.3, seeded()), recoloured(grey.expand(-1, -1, -1, 3), 0.3, seeded())
    torch.testing.assert_close(one.expand_as(three), three, atol=1e-2, rtol=0)


def test_cutout_leaves_out_one_square_that_may_lie_outside() -> None:
    areas = []
    for mask in cut_out(torch.ones(300, 2, 8, 8), 4, seeded()) == 0:
        assert torch.equal(mask[0], mask[1])
        rows, columns = mask[0].any(1).nonzero().flatten(), mask[0].any(0).nonzero().flatten()
        assert mask[0].sum() == len(rows) * len(columns)
        assert rows.tolist() == list(range(int(rows[0]), int(rows[-1]) + 1))
        areas.append((len(rows), len(columns)))
    assert set(areas) == {(rows, columns) for rows in (2, 3, 4) for columns in (2, 3, 4)}


def test_mixup_mixes_images_and_labels_alike() -> None:
    inputs = torch.eye(6)[:, :, None, None] + 1
    mixed, targets = mixed_up(inputs, torch.arange(6), 6, 0.4, seeded(3))
    torch.testing.assert_close(mixed[:, :, 0, 0] - 1, targets)
    torch.testing.assert_close(targets.sum(1), torch.ones(6))
    shares = [float(mixed_up(inputs, torch.arange(6), 6, 0.4, seeded(seed))[1].max()) for seed in range(40)]
    assert min(shares) < 0.8 < max(shares)


@pytest.mark.parametrize("alpha", [1e-40, 1e-4, 1000.0])
def test_mixup_takes_every_parameter(alpha: float) -> None:
    mixed, targets = mixed_up(torch.ones(4, 1, 2, 2), torch.arange(4), 4, alpha, seeded())
    assert torch.isfinite(mixed).all()
    torch.testing.assert_close(targets.sum(1), torch.ones(4))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_with_everything_is_a_function_of_seed_and_step(channels: int) -> None:
    first, second = batches(ALL, channels), batches(ALL, channels)
    for index in (0, 3, first.an_epoch + 1):
        (inputs, targets), again = first[index], second[index]
        assert torch.equal(inputs, again[0])
        assert torch.equal(targets, again[1])
        assert inputs.shape == (16, channels, 12, 12)
        assert inputs.is_contiguous(memory_format=torch.channels_last)
        assert targets.shape == (16, 4)
    assert not torch.equal(first[0][0], first[1][0])


def test_a_change_that_is_added_leaves_the_others_as_they_were() -> None:
    """Each has a stream of its own; mixup, which comes last, is left out so that images can be compared."""
    less, more = batches(Augmentation(crop=2, flip=True, cutout=0)), batches(Augmentation(2, True, 0.0, 4))
    for index in range(3):
        (one, labels), (two, same) = less[index], more[index]
        assert torch.equal(labels, same)
        assert torch.equal(one[two != 0], two[two != 0])


def test_images_stay_as_they_are_in_memory() -> None:
    series = batches(ALL)
    before = series.split.pool.pixels.clone()
    for index in range(4):
        series[index]
    assert torch.equal(series.split.pool.pixels, before)
