"""The over-parameterised network of a flattened space, one path of which runs at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from compiler.ir.graph import SpaceGraph
from compiler.nets.forward import Mode
from compiler.nets.mixed import MixedOp
from compiler.nets.modules import Operation, Run, initialise
from compiler.nets.network import GraphModule
from compiler.nets.residuals import begin_as_skips
from compiler.path_decisions import path_decisions

Paths = Sequence[int]
"""The index of the drawn candidate of each decision, in the order of `Supernet.decisions`."""

Value = TypeVar("Value")


class Supernet(GraphModule):
    """All candidates of all decisions, and the fixed nodes around them.

    Tensors of fixed nodes are keyed as in a network; those of a candidate have the mixed node's name and the
    candidate's label in front, since candidates may contain nodes of the same name.
    """

    def __init__(self, space: SpaceGraph) -> None:
        super().__init__(space.graph)
        self.decisions = path_decisions(space.graph)
        modules = {step.name: step.module for step in self.steps}
        self._mixed = {name: module for name, module in modules.items() if isinstance(module, MixedOp)}
        self._plain = {name: module for name, module in modules.items() if isinstance(module, Operation)}
        for decision in self.decisions:
            for member in decision.members:
                self._mixed[member].decision = decision.name

    @property
    def candidates(self) -> tuple[int, ...]:
        """The number of candidates of each decision."""
        return tuple(len(decision.labels) for decision in self.decisions)

    def logits(self, images: Tensor, paths: Paths, mode: Mode = "train") -> Tensor:
        """One pass along the drawn paths; shape `[batch, classes]`."""
        return self.compute((images,), Run(mode, self._by_name(paths)))

    def gated_logits(
        self, images: Tensor, paths: Paths, compared: Sequence[Sequence[int]], gates: Sequence[Tensor]
    ) -> Tensor:
        """The same pass for an architecture step: weights and statistics are left alone.

        Its backward pass gives each gate of `gates` (one-hot, `[compared]` each, see `one_hot_gates`) its
        gradient. `compared` lists, for each decision, the candidates whose gates these are, the drawn one
        among them.
        """
        run = Run("observe", self._by_name(paths), self._by_name(compared), self._by_name(gates))
        return self.compute((images,), run)

    def _by_name(self, values: Sequence[Value]) -> dict[str, Value]:
        return {decision.name: value for decision, value in zip(self.decisions, values, strict=True)}

    def path_parameters(self, paths: Paths) -> dict[str, nn.Parameter]:
        """The trained tensors that a pass along `paths` reads, by their key in the supernet."""
        tensors = self._fixed()
        for mixed, pick in self._drawn(paths):
            prefix = f"{mixed.name}.{mixed.labels[pick]}"
            tensors |= {f"{prefix}.{key}": tensor for key, tensor in mixed.path_tensors(pick).items()}
        return {key: tensor for key, tensor in tensors.items() if isinstance(tensor, nn.Parameter)}

    def drop(self, decision: int, pick: int) -> None:
        """Free the weights of a candidate that is not to be run again."""
        for member in self.decisions[decision].members:
            self._mixed[member].drop(pick)

    def network_tensors(self, paths: Paths) -> dict[str, Tensor]:
        """Copies of weights and statistics along `paths`, keyed as the derived network's."""
        tensors = self._fixed()
        for mixed, pick in self._drawn(paths):
            tensors |= mixed.path_tensors(pick)
        return {
            key: tensor.detach().clone(memory_format=torch.contiguous_format)
            for key, tensor in tensors.items()
        }

    def _fixed(self) -> dict[str, Tensor]:
        return {
            f"{name}.{key}": tensor
            for name, module in self._plain.items()
            for key, tensor in module.own_tensors().items()
        }

    def _drawn(self, paths: Paths) -> Iterator[tuple[MixedOp, int]]:
        for decision, pick in zip(self.decisions, paths, strict=True):
            for member in decision.members:
                yield self._mixed[member], pick


def build_supernet(space: SpaceGraph, seed: int = 0) -> Supernet:
    """The supernet of a flattened space, freshly initialised from `seed`, convolutions laid out channels-last; its
    residual blocks begin nearly as their skip connections.

    Raises:
        ValueError: the space is not flattened, or its mixed nodes share decisions in part.
    """
    supernet = Supernet(space)
    initialise(supernet, seed)
    begin_as_skips(supernet, space.graph)
    return supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
