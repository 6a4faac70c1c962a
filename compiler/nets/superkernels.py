"""Superkernels: weights of a decision's candidates that lie in one tensor, of which each candidate has a part.

Single-Path NAS (Stamoulis et al., ECML PKDD 2019, section 3.1): the smaller kernel is the middle of the larger one, and
fewer channels are the first of more. What one candidate learns the others have learnt, so that a supernet needs fewer
steps; what differs between candidates is what their sizes differ by.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from compiler.ir.graph import Graph, Node

_SIZES = ("kernel", "kernel_width", "out", "padding", "padding_width")
"""Attributes in which candidates with one superkernel may differ."""
_REORDERS = ("concat", "channel_shuffle", "slice", "flatten", "attention")
"""Behind these the channels of a narrow candidate are not the first ones of a wide candidate."""


@dataclass(frozen=True)
class Superkernel:
    """The tensors of one node in several candidates: the shape of each by its key, all of the same rank."""

    parts: Mapping[str, tuple[int, ...]]

    def joined(self, values: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
        """A part for each key, all of them views of one tensor with `like`'s type and device.

        It holds the values given, those of the larger parts where two overlap, and 0 elsewhere, whatever order they
        are given in. Of four dimensions it is laid out channels-last.
        """
        whole = like.new_zeros([max(sizes) for sizes in zip(*self.parts.values(), strict=True)])
        if whole.dim() == 4:
            whole = whole.to(memory_format=torch.channels_last)
        parts = {key: _part(whole, shape) for key, shape in self.parts.items()}
        with torch.no_grad():
            for key in sorted(values, key=lambda key: (values[key].numel(), key)):
                parts[key].copy_(values[key])
        return parts


def _part(whole: Tensor, shape: Sequence[int]) -> Tensor:
    """The first channels, in and out, and the middle of the kernel."""
    for axis, (size, available) in enumerate(zip(shape, whole.shape, strict=True)):
        whole = whole.narrow(axis, 0 if axis < 2 else (available - size) // 2, size)
    return whole


def alike(candidates: Mapping[str, Graph]) -> list[list[str]]:
    """The labels of candidates that have the same structure, but for kernel sizes and numbers of channels; those that
    are alone in theirs are left out."""
    found: dict[Hashable, list[str]] = defaultdict(list)
    for label, graph in candidates.items():
        found[_structure(graph)].append(label)
    return [labels for labels in found.values() if len(labels) > 1]


def _structure(graph: Graph) -> Hashable:
    places = {node.name: place for place, node in enumerate(graph.nodes)}
    return tuple(
        (node.op, tuple(places[name] for name in node.inputs), _settings(node), _fixed_sizes(graph, node))
        for node in graph.nodes
    )


def _settings(node: Node) -> Hashable:
    return tuple((name, value) for name, value in node.attributes if name not in _SIZES)


def _fixed_sizes(graph: Graph, node: Node) -> Hashable:
    """The sizes in which candidates may not differ: those around a node that puts channels in another order, and the
    places that positions are learnt of."""
    grouped = dict(node.attributes).get("groups", 1) != 1
    if node.op == "position_embedding":
        return node.type.sizes[:1]
    if node.op not in _REORDERS and not grouped:
        return ()
    return tuple(graph[name].type.sizes for name in (*node.inputs, node.name))
