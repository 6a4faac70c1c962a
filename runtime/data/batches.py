"""Batches: an order for every epoch, random crops and flips, all drawn from named streams.

A batch is a function of the seed and the step, so that nothing has to be saved for a resume.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from compiler.nets.streams import stream
from runtime.data.dataset import Preprocessing, Split


@dataclass(frozen=True)
class Augmentation:
    """Random shifts of up to `crop` pixels (the border is black), and horizontal flips of every second image."""

    crop: int = 0
    flip: bool = False

    def apply(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """`[batch, height, width, channels]`, one shift and one flip an image."""
        if not (self.crop or self.flip):
            return pixels
        count, height, width, _ = pixels.shape
        rows, columns = torch.arange(height).expand(count, -1), torch.arange(width).expand(count, -1)
        if self.crop:
            pixels = torch.nn.functional.pad(pixels, (0, 0, self.crop, self.crop, self.crop, self.crop))
            shifts = torch.randint(0, 2 * self.crop + 1, (2, count, 1), generator=generator)
            rows, columns = rows + shifts[0], columns + shifts[1]
        if self.flip:
            mirrored = torch.rand(count, 1, generator=generator) < 0.5
            columns = torch.where(mirrored, columns.flip(1), columns)
        return pixels[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


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
        """Batch `index`: inputs `[batch, channels, height, width]`, normalised, channels-last; labels."""
        epoch, place = divmod(index, self.an_epoch)
        order = self._order(epoch)[place * self.size : (place + 1) * self.size]
        pixels, labels = self.split.take(order)
        generator = stream(self.seed, f"{self.name} augmentation", index)
        return self.preprocessing.apply(self.augmentation.apply(pixels, generator)), labels

    def _order(self, epoch: int) -> Tensor:
        return torch.randperm(len(self.split), generator=stream(self.seed, f"{self.name} order", epoch))
