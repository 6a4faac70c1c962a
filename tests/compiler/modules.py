"""What a network's module has and does, counted by torch: the second opinion on `compiler.cost`."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from compiler.ir.graph import Network


@dataclass(frozen=True)
class Counts:
    """Trained elements, multiply-accumulates and the result's shape, without the batch."""

    params: int
    macs: int
    shape: tuple[int, ...]


def counts_of(network: Network) -> Counts:
    """The counts of a network's module. It lives on torch's `meta` device, where nothing is computed."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from compiler.nets.network import build_network

    counter = FlopCounterMode(display=False)
    with torch.device("meta"), torch.no_grad():
        module = build_network(network).eval()
        inputs = [torch.zeros(1, *node.type.sizes) for node in network.graph.inputs]
        with counter:
            result = module(*inputs)
    params = sum(parameter.numel() for parameter in module.parameters())
    return Counts(params, counter.get_total_flops() // 2, tuple(result.shape[1:]))
