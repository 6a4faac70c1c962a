"""scikit-learn's 1,797 real 8x8 digits, which its wheel carries: the data of last resort, and of tests."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from runtime.data.dataset import DataProblem, Labelled, Raw, held_out

TEST_SHARE = 0.2


def load_digits(size: int = 8) -> Raw:
    """The digits, scaled to `size` x `size` (bilinear); a fifth of each class is the test split.

    Raises:
        DataProblem: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits as bundled
    except ImportError:
        raise DataProblem(
            "the digits come with scikit-learn, which is not installed", "pip install scikit-learn"
        ) from None
    loaded = bundled()
    images = torch.from_numpy(loaded.images).float().mul_(255 / 16)[:, None]
    if size != images.shape[-1]:
        images = F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    pixels = images.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    labels = torch.from_numpy(loaded.target).long()
    train, test = held_out(labels, TEST_SHARE, 0, "test")
    return Raw(
        "digits",
        tuple(map(str, range(10))),
        Labelled(pixels[train], labels[train]),
        Labelled(pixels[test], labels[test]),
        "none" if size == images.shape[-1] == 8 else "bilinear",
    )
