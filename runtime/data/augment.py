"""Random changes of a batch of images at once, each a function of the batch and of one generator."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""The grey of red, green and blue: ITU-R BT.601, as in Pillow and torchvision."""


def moved(pixels: Tensor, crop: int, flip: bool, generator: torch.Generator) -> Tensor:
    """`[batch, height, width, channels]`, each image shifted by up to `crop` pixels (the border is black) and, where
    `flip` says so, every second one mirrored."""
    if crop:
        pixels = _shifted(pixels, crop, generator)
    if flip:
        mirrored = torch.rand(len(pixels), 1, 1, 1, generator=generator) < 0.5
        pixels = torch.where(mirrored, pixels.flip(2), pixels)
    return pixels


def _shifted(pixels: Tensor, crop: int, generator: torch.Generator) -> Tensor:
    """One window of each padded image; NumPy copies rows of windows whole, four times faster than by pixel."""
    count, height, width, channels = pixels.shape
    padded = F.pad(pixels, (0, 0, crop, crop, crop, crop)).flatten(2).numpy()
    rows, columns = torch.randint(0, 2 * crop + 1, (2, count), generator=generator).numpy()
    windows = sliding_window_view(padded, (height, width * channels), (1, 2))
    return torch.from_numpy(windows[np.arange(count), rows, channels * columns]).reshape(pixels.shape)


def recoloured(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation of each image multiplied by factors from `1 - strength` to `1 + strength`.

    Float pixels of the same shape, from 0 to 255. The three blends of Pillow's ImageEnhance in its order, with black,
    with the mean grey and with the grey image, written as one sum; what leaves the range is clipped once, at the
    end. A grey image has no saturation.
    """
    flat = pixels.flatten(1, 2).float()
    brightness, contrast, saturation = 1 + strength * (
        2 * torch.rand(3, len(pixels), 1, 1, generator=generator) - 1
    )
    grey = flat @ torch.tensor(LUMA)[:, None] if flat.shape[2] == len(LUMA) else flat
    bright = brightness * contrast
    changed: Tensor = flat * (bright * saturation)
    changed += grey * (bright * (1 - saturation)) + brightness * (1 - contrast) * grey.mean(1, keepdim=True)
    return changed.clamp_(0, 255).reshape(pixels.shape)


def cut_out(inputs: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Normalised inputs `[batch, channels, height, width]`, changed in place: a square of each image made 0, its mean.

    The square's centre is any pixel, so that a part of it may lie outside (DeVries and Taylor 2017).
    """
    count, _, height, width = inputs.shape
    inside = []
    for size in (height, width):
        start = torch.randint(0, size, (count, 1), generator=generator) - side // 2
        places = torch.arange(size)
        inside.append((places >= start) & (places < start + side))
    rows, columns = inside
    return inputs.masked_fill_(rows[:, None, :, None] & columns[:, None, None, :], 0.0)


def mixed_up(
    inputs: Tensor, labels: Tensor, classes: int, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Each image mixed with another of the batch, and its label likewise: `[batch, classes]`, float.

    mixup (Zhang, Cisse, Dauphin, Lopez-Paz, ICLR 2018), with one share for the batch as in its public code, drawn
    from Beta(alpha, alpha).
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    share = float(np.random.default_rng(seed).beta(alpha, alpha))
    other = torch.randperm(len(inputs), generator=generator)
    targets = F.one_hot(labels, classes).float()
    return torch.lerp(inputs[other], inputs, share), torch.lerp(targets[other], targets, share)
