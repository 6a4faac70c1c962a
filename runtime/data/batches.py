"""Batches: an order for every epoch and random changes of images, all drawn from named streams.

A batch is a function of the seed and the step, so that nothing has to be saved for a resume.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from compiler.nets.streams import stream
from runtime.data.augment import cut_out, mixed_up, moved, recoloured
from runtime.data.dataset import DataProblem, Preprocessing, Split
from runtime.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images, none by default; `runtime.data.augment` says what each does.

    Shifts of up to `crop` pixels and flips of every second image; `colour` is the largest relative change of
    brightness, contrast and saturation, `cutout` the side of a square in pixels, `mixup` the parameter of a
    beta distribution.
    """

    crop: int = 0
    flip: bool = False
    colour: float = 0.0
    cutout: int = 0
    mixup: float = 0.0

    def apply(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """`[batch, height, width, channels]`, one shift and one flip an image."""
        return moved(pixels, self.crop, self.flip, generator) if self.crop or self.flip else pixels


@dataclass(frozen=True)
class Batches:
    """An endless series of batches: each epoch its own order, the incomplete last batch left out.

    Several processes share each batch: it is that of one process, of which each takes its images.

    Raises:
        DataProblem: there are fewer images in a batch than processes.
    """

    split: Split
    preprocessing: Preprocessing
    batch: int
    seed: int
    name: str
    augmentation: Augmentation = Augmentation()
    ranks: Ranks = ALONE

    def __post_init__(self) -> None:
        if self.size < self.ranks.size:
            what = f"a batch of {self.size} images is too small for {self.ranks.size} processes"
            raise DataProblem(what, "start fewer, or use larger batches")

    @property
    def size(self) -> int:
        """Images in a batch, of all processes together: `batch`, or all there are."""
        return min(self.batch, len(self.split))

    @property
    def weight(self) -> float:
        """By what this process's mean over its images is multiplied in the mean over processes."""
        return self.ranks.weight(self.size)

    @property
    def an_epoch(self) -> int:
        """Batches in an epoch."""
        return len(self.split) // self.size

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """This process's part of batch `index`, on its device: inputs `[batch, channels, height, width]`, normalised,
        channels-last, and their targets.

        Targets are labels `[batch]`, or under mixup the shares of the classes `[batch, classes]`: both are what
        `runtime.loss` takes.
        """
        own, device = self.ranks.own(self.size), self.ranks.device
        inputs, targets = self._whole(index)
        return inputs[own].to(device, non_blocking=True), targets[own].to(device, non_blocking=True)

    def _whole(self, index: int) -> tuple[Tensor, Tensor]:
        """The batch of all processes: the random changes of an image do not depend on whose it is."""
        epoch, place = divmod(index, self.an_epoch)
        order = self._order(epoch)[place * self.size : (place + 1) * self.size]
        pixels, labels = self.split.take(order)
        wanted = self.augmentation
        pixels = wanted.apply(pixels, self._stream("augmentation", index))
        if wanted.colour:
            pixels = recoloured(pixels, wanted.colour, self._stream("colour", index))
        inputs = self.preprocessing.apply(pixels)
        if wanted.cutout:
            inputs = cut_out(inputs, wanted.cutout, self._stream("cutout", index))
        if not wanted.mixup:
            return inputs, labels
        classes = len(self.preprocessing.labels)
        return mixed_up(inputs, labels, classes, wanted.mixup, self._stream("mixup", index))

    def _order(self, epoch: int) -> Tensor:
        return torch.randperm(len(self.split), generator=self._stream("order", epoch))

    def _stream(self, what: str, index: int) -> torch.Generator:
        return stream(self.seed, f"{self.name} {what}", index)
