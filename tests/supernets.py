"""What tests of supernets share."""

from __future__ import annotations

import torch

from compiler.nets.supernet import Supernet


def with_whole_branches(supernet: Supernet) -> Supernet:
    """The supernet with a scale of 1 in every batch norm, as a network has it. Its residual branches begin with less,
    so that gates' gradients are small at first, and rounding shows in single precision."""
    with torch.no_grad():
        for name, tensor in supernet.named_parameters():
            if name.rpartition(".")[0].rpartition(".")[2].startswith("bn") and name.endswith(".weight"):
                tensor.fill_(1.0)
    return supernet
