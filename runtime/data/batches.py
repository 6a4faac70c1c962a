"""Batches: an order for every epoch and random changes of images, all drawn from named streams.

A batch is a function of the seed and the step, so that nothing has to be saved for a resume.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from compiler.nets.streams import stream
from runtime.data.augment import cut_out, mixed_up, moved, recoloured
from runtime.data.dataset import Preprocessing, Split


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
    """An endless series of batches: each epoch its own order, the incomplete last batch left out."""

    split: Split
    preprocessing: Preprocessing
    batch: int
    seed: int
    name: str
    augmentation: Augmentation = Augmentation()

    @property
    def size(self) -> int:
        """Images in a batch: `batch`, or all there are."""
        return min(self.batch, len(self.split))

    @property
    def an_epoch(self) -> int:
        """Batches in an epoch."""
        return len(self.split) // self.size

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Batch `index`: inputs `[batch, channels, height, width]`, normalised, channels-last; its targets.

        Targets are labels `[batch]`, or under mixup the shares of the classes `[batch, classes]`: both are what
        `runtime.loss` takes.
        """
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
