"""The over-parameterised network of a flattened space, one path of which runs at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from compiler.ir.graph import Node, SpaceGraph
from compiler.nets.forward import Mode
from compiler.nets.mixed import MixedOp, Path
from compiler.nets.modules import Operation, Run, initialise
from compiler.nets.network import GraphModule
from compiler.nets.residuals import begin_as_skips
from compiler.nets.superkernels import Superkernel, alike
from compiler.path_decisions import path_decisions

Paths = Sequence[int]
"""The index of the drawn candidate of each decision, in the order of `Supernet.decisions`."""

Value = TypeVar("Value")


class Supernet(GraphModule):
    """All candidates of all decisions, and the fixed nodes around them.

    Tensors of fixed nodes are keyed as in a network; those of a candidate have the mixed node's name and the
    candidate's label in front, since candidates may contain nodes of the same name. With `superkernels` those of
    candidates that are alike but for their sizes are views of one tensor from the first `to` on, which joins what the
    parts were initialised with; a copy by `copy.deepcopy` is to be joined by `to` again.
    """

    def __init__(self, space: SpaceGraph, superkernels: bool = False) -> None:
        super().__init__(space.graph)
        mixed_nodes = [node for node in space.graph.nodes if node.candidates] if superkernels else []
        self._alike = {node.name: _alike(node) for node in mixed_nodes}
        self.decisions = path_decisions(space.graph)
        modules = {step.name: step.module for step in self.steps}
        self._mixed = {name: module for name, module in modules.items() if isinstance(module, MixedOp)}
        self._plain = {name: module for name, module in modules.items() if isinstance(module, Operation)}
        for decision in self.decisions:
            for member in decision.members:
                self._mixed[member].decision = decision.name

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Supernet:
        """Of `to` and the like: what they make of each part for itself is joined again."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._join(self._alike)
        return self

    @property
    def superkernels(self) -> tuple[Superkernel, ...]:
        """All of them; each parameter is a part of one at most."""
        return tuple(map(_superkernel, self._together(self._alike)))

    def _together(self, names: Iterable[str]) -> Iterator[dict[str, nn.Parameter]]:
        """The parameters that are parts of one superkernel, by their keys, for each superkernel of the mixed nodes."""
        for name in names:
            for labels in self._alike.get(name, ()):
                parameters = [
                    [(f"{name}.{label}.{key}", tensor) for key, tensor in _in_order(path)]
                    for label, path in self._mixed[name].left()
                    if label in labels
                ]
                yield from map(dict, zip(*parameters, strict=True))

    @torch.no_grad()
    def _join(self, names: Iterable[str]) -> None:
        """Let the parameters of each superkernel be parts of one tensor; the values of the largest count."""
        for own in self._together(names):
            for key, part in _superkernel(own).joined(own, next(iter(own.values()))).items():
                own[key].data = part

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
        """Free the weights of a candidate that is not to be run again: of a superkernel what is larger than others."""
        members = self.decisions[decision].members
        for member in members:
            self._mixed[member].drop(pick)
        self._join(members)

    def network_tensors(self, paths: Paths) -> dict[str, Tensor]:
        """Copies of weights and statistics along `paths`, keyed as the derived network's."""
        return {
            key: tensor.detach().clone(memory_format=torch.contiguous_format)
            for key, tensor in self._along(paths).items()
        }

    @torch.no_grad()
    def load_path(self, paths: Paths, tensors: Mapping[str, Tensor]) -> None:
        """Set weights and statistics along `paths`; the derived network, whose they are, may lack what does nothing."""
        along = self._along(paths)
        for key, tensor in tensors.items():
            along[key].copy_(tensor)

    def _along(self, paths: Paths) -> dict[str, Tensor]:
        tensors = self._fixed()
        for mixed, pick in self._drawn(paths):
            tensors |= mixed.path_tensors(pick)
        return tensors

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


def _in_order(path: Path) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters of a candidate, in the order of its nodes."""
    assert isinstance(path, GraphModule)
    for step in path.steps:
        for key, tensor in step.module.named_parameters():
            yield f"{step.name}.{key}", tensor


def _superkernel(parameters: Mapping[str, nn.Parameter]) -> Superkernel:
    return Superkernel({key: tuple(tensor.shape) for key, tensor in parameters.items()})


def _alike(node: Node) -> list[list[str]]:
    return alike({str(candidate.key): candidate.graph for candidate in node.candidates})


def build_supernet(space: SpaceGraph, seed: int = 0, superkernels: bool = False) -> Supernet:
    """The supernet of a flattened space, freshly initialised from `seed`, convolutions laid out channels-last; its
    residual blocks begin nearly as their skip connections.

    Raises:
        ValueError: the space is not flattened, or its mixed nodes share decisions in part.
    """
    supernet = Supernet(space, superkernels)
    initialise(supernet, seed)
    begin_as_skips(supernet, space.graph)
    # Superkernels are joined here, after all parts have their first values, which then depend on no order.
    return supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
