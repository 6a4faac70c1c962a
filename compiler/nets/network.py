"""A graph as a PyTorch module: the nodes in their canonical order, each value dropped after its last reader."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from compiler.ir.graph import INPUT, MIXED, Graph, Network, Node
from compiler.nets.forward import OVERWRITES
from compiler.nets.mixed import MixedOp, Path
from compiler.nets.modules import Operation, Run, initialise, register

_NEEDS_NO_RESULT = ("conv", "depthwise", "linear", "bn", "add")
"""Operators whose gradient does not look at their result, so that the next one may overwrite it."""


@dataclass(frozen=True)
class Step:
    """One node in execution: its operands' names, its module, and the values that are dropped after it."""

    name: str
    operands: tuple[str, ...]
    module: MixedOp | Operation
    last_read: tuple[str, ...]


class GraphModule(Path):
    """Executes a graph. Its tensors are keyed `{node}.weight`, `.bias`, `.running_mean`, `.running_var`."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._inputs = tuple(node.name for node in graph.inputs)
        self._output = graph.output
        self.steps = tuple(self._step(graph, node) for node in graph.nodes if node.op != INPUT)

    def _step(self, graph: Graph, node: Node) -> Step:
        module = _module_of(graph, node)
        register(self, node.name, module)
        last = tuple(name for name in dict.fromkeys(node.inputs) if graph.readers(name)[-1] == node.name)
        return Step(node.name, node.inputs, module, tuple(name for name in last if name != graph.output))

    def compute(self, operands: tuple[Tensor, ...], run: Run) -> Tensor:
        """The graph's output for its inputs, in order."""
        values = dict(zip(self._inputs, operands, strict=True))
        del operands
        for step in self.steps:
            values[step.name] = step.module([values[name] for name in step.operands], run)
            for name in step.last_read:
                del values[name]
        return values[self._output]

    def forward(self, *operands: Tensor) -> Tensor:
        """The output, in training or evaluation mode as `train()` and `eval()` set it."""
        return self.compute(operands, Run("train" if self.training else "evaluate"))


def _module_of(graph: Graph, node: Node) -> MixedOp | Operation:
    if node.op == MIXED:
        paths: dict[str, Path] = {
            str(candidate.key): GraphModule(candidate.graph) for candidate in node.candidates
        }
        return MixedOp(node.name, paths)
    operand = graph[node.inputs[0]]
    return Operation(node, operand.type.sizes, in_place=_may_overwrite(graph, node, operand))


def _may_overwrite(graph: Graph, node: Node, operand: Node) -> bool:
    alone = graph.readers(operand.name) == (node.name,) and graph.output != operand.name
    return node.op in OVERWRITES and alone and operand.op in _NEEDS_NO_RESULT


def build_network(network: Network, seed: int = 0) -> GraphModule:
    """The module of a network, freshly initialised from `seed`, convolutions laid out channels-last.

    Its inputs are the network's, with a batch in front; images are best given channels-last.
    """
    module = GraphModule(network.graph)
    initialise(module, seed)
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
