"""A data set in memory: images as they are, three splits, and what is done to a pixel before the network.

The test split is used once, at the end; choices are made on the validation split, which is held out of the
training images and has the same share of every class.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compiler.ir.types import Dimensions
from compiler.nets.streams import stream
from dsl.suggest import counted

MOST_CLASSES = 100_000
"""Bounds what a damaged or hostile label can ask for: a count and a name for each class up to it."""


class DataProblem(Exception):
    """Data that cannot be used: what is wrong, and the way out."""

    def __init__(self, what: str, way_out: str) -> None:
        super().__init__(f"{what}; {way_out}")
        self.what, self.way_out = what, way_out


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images `[count, height, width, channels]`, uint8, and their classes `[count]`, int64."""

    pixels: Tensor
    labels: Tensor

    @staticmethod
    def of(pixels: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> Labelled:
        """From arrays of any integer label type; grey images may lack the channel."""
        shaped = pixels if pixels.ndim == 4 else pixels[..., None]
        images = torch.from_numpy(np.ascontiguousarray(shaped, dtype=np.uint8).copy())
        return Labelled(images, torch.from_numpy(np.asarray(labels).astype(np.int64)))


@dataclass(frozen=True)
class Raw:
    """What a source gives: all training images, the test images, and `notes` for whoever asked."""

    name: str
    classes: tuple[str, ...]
    train: Labelled
    test: Labelled
    resize: str = "none"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preprocessing:
    """From an image to the network's input: resized, divided by 255, then `(value - mean) / std` a channel."""

    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: tuple[str, ...]
    resize: str = "none"

    def describe(self) -> dict[str, Any]:
        """For a manifest: sizes in pixels, mean and deviation on a scale from 0 to 1."""
        return {
            "layout": "NCHW",
            "size": [self.channels, self.height, self.width],
            "scale": 1 / 255,
            "mean": list(self.mean),
            "std": list(self.std),
            "resize": self.resize,
            "labels": list(self.labels),
        }

    def apply(self, pixels: Tensor) -> Tensor:
        """`[batch, height, width, channels]`, 0 to 255, to `[batch, channels, height, width]`, channels-last."""
        scale = torch.tensor([1 / (255 * deviation) for deviation in self.std])
        shift = torch.tensor([-mean / std for mean, std in zip(self.mean, self.std, strict=True)])
        return pixels.to(torch.float32, copy=True).mul_(scale).add_(shift).permute(0, 3, 1, 2)


@dataclass(frozen=True, eq=False)
class Split:
    """Some of the images of a pool, by their indices."""

    pool: Labelled
    indices: Tensor

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def labels(self) -> Tensor:
        """The classes, `[count]`."""
        return self.pool.labels[self.indices]

    def take(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Images (uint8, `[batch, height, width, channels]`) and classes at `places` of the split."""
        chosen = self.indices[places]
        return self.pool.pixels[chosen], self.pool.labels[chosen]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits, and how their images become inputs. `digest` identifies pixels, labels and splits."""

    name: str
    train: Split
    validation: Split
    test: Split
    preprocessing: Preprocessing
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, by label."""
        return self.preprocessing.labels

    @property
    def all_training(self) -> Split:
        """Training and validation images together, for a last training in which nothing is chosen."""
        return Split(self.train.pool, torch.cat([self.train.indices, self.validation.indices]).sort().values)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the pools and the indices of the splits."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            digest.update(split.indices.numpy().tobytes())
        for pool in (self.train.pool, self.test.pool):
            digest.update(pool.pixels.numpy().data)
            digest.update(pool.labels.numpy().tobytes())
        return digest.hexdigest()

    def check_fits(self, inputs: Dimensions, outputs: Dimensions) -> None:
        """Check the images and classes against a network's input and output.

        Raises:
            DataProblem: they differ; the message has both sides.
        """
        images = (self.preprocessing.channels, self.preprocessing.height, self.preprocessing.width)
        if inputs != images:
            what = f"the network takes {list(inputs)}, and the images of {self.name} are {list(images)}"
            raise DataProblem(what, f"write `input {list(images)}` in the space, or give other data")
        if outputs != (len(self.classes),):
            classes = counted(len(self.classes), "class", "classes")
            what = f"the network gives {list(outputs)}, and {self.name} has {classes}"
            raise DataProblem(what, f"let the last layer be `linear({len(self.classes)})`")


def held_out(labels: Tensor, fraction: float, seed: int, name: str = "validation") -> tuple[Tensor, Tensor]:
    """Indices kept and held out: of every class the same share, rounded, but at least one image on each side.

    They are drawn by `seed`, and both in rising order.

    Raises:
        DataProblem: a class has one image, and so cannot be in both.
    """
    kept, out = [], []
    for label in torch.unique(labels).tolist():
        members = (labels == label).nonzero().flatten()
        if len(members) == 1:
            what = f"class {label} has 1 image, too few to hold one out"
            raise DataProblem(what, "add images, or leave the class out")
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        order = members[torch.randperm(len(members), generator=stream(seed, f"{name} split", label))]
        out.append(order[:count])
        kept.append(order[count:])
    return torch.cat(kept).sort().values, torch.cat(out).sort().values


def dataset_of(raw: Raw, validation: float, seed: int) -> Dataset:
    """The splits of `raw`; mean and deviation are those of its training split.

    Raises:
        DataProblem: images and labels do not belong together, or a class is missing or too small.
    """
    for part, what in ((raw.train, "training"), (raw.test, "test")):
        _check(raw, part, what)
    kept, out = held_out(raw.train.labels, validation, seed)
    train = Split(raw.train, kept)
    mean, std = _moments(raw.train.pixels, kept)
    height, width, channels = raw.train.pixels.shape[1:]
    preprocessing = Preprocessing(channels, height, width, mean, std, raw.classes, raw.resize)
    test = Split(raw.test, torch.arange(len(raw.test.labels)))
    return Dataset(raw.name, train, Split(raw.train, out), test, preprocessing, raw.notes)


def _check(raw: Raw, part: Labelled, what: str) -> None:
    if len(part.pixels) != len(part.labels):
        found = f"{len(part.pixels)} {what} images of {raw.name} and {len(part.labels)} labels"
        raise DataProblem(found, "give one label for each image")
    if len(part.labels) == 0:
        raise DataProblem(f"{raw.name} has no {what} images", "add some")
    if int(part.labels.min()) < 0 or int(part.labels.max()) >= len(raw.classes):
        raise DataProblem(
            f"the {what} labels of {raw.name} are not from 0 to {len(raw.classes) - 1}", "correct them"
        )
    counts = torch.bincount(part.labels, minlength=len(raw.classes))
    if what == "training" and int(counts.min()) == 0:
        missing = raw.classes[int(counts.argmin())]
        raise DataProblem(f"no {what} image of {raw.name} is of class `{missing}`", "add some")


def _moments(pixels: Tensor, indices: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel on a scale from 0 to 1: exact sums, by histogram."""
    values = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in range(pixels.shape[3]):
        histogram = torch.zeros(256, dtype=torch.float64)
        for chunk in torch.split(indices, 4096):
            histogram += torch.bincount(pixels[chunk, :, :, channel].flatten(), minlength=256)
        mean = float((histogram * values).sum() / histogram.sum())
        variance = float((histogram * (values - mean) ** 2).sum() / histogram.sum())
        means.append(mean)
        deviations.append(max(variance**0.5, 1 / 255))
    return tuple(means), tuple(deviations)


def named_classes(names: Sequence[str] | None, labels: Tensor) -> tuple[str, ...]:
    """The given names, else the numbers up to the greatest label.

    Raises:
        DataProblem: there is no label, or one that stands for more than `MOST_CLASSES` classes or for none.
    """
    if names:
        return tuple(names)
    greatest = int(labels.max()) if len(labels) else -1
    if not 0 <= greatest < MOST_CLASSES:
        found = f"the greatest label is {greatest}" if len(labels) else "there are no labels"
        raise DataProblem(found, f"give labels from 0, and less than {MOST_CLASSES:,}")
    return tuple(str(label) for label in range(greatest + 1))
