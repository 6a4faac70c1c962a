"""Residual branches that add little before they have learnt something.

The scale of a branch's last batch norm begins near 0, so that the block begins nearly as its skip connection (Goyal et
al., "Accurate, large minibatch SGD", 2017, section 5.1, with 0). In a supernet, where each candidate is trained by a
share of the steps only, candidates that have learnt little then do not disturb those behind them.
"""

from __future__ import annotations

from collections.abc import Iterator

import networkx
import torch
from torch import Tensor

from compiler.ir.graph import MIXED, Graph, Node
from compiler.nets.mixed import MixedOp
from compiler.nets.modules import Operation
from compiler.nets.network import GraphModule

SCALE = 0.1
"""Not 0: all candidates would do the same, and the gradients of their gates be nothing but rounding."""


def begin_as_skips(module: GraphModule, graph: Graph) -> None:
    """Set the scale of the batch norm that ends a residual branch of `graph` to `SCALE`, in the `module` of it; of each
    candidate that ends in one where a decision ends the branch, and in the graphs of all candidates."""
    with torch.no_grad():
        for scale in _scales(module, graph):
            scale.fill_(SCALE)


def _scales(module: GraphModule, graph: Graph) -> Iterator[Tensor]:
    made = {step.name: step.module for step in module.steps}
    for name in _branches(graph):
        yield from _last_scales(made[name], graph[name])
    for node in graph.nodes:
        for path, candidate in _candidates(made[node.name], node) if node.op == MIXED else ():
            yield from _scales(path, candidate)


def _branches(graph: Graph) -> Iterator[str]:
    """The node that ends each residual branch: one of two operands of a sum, read by nothing else, that is computed
    from the other."""
    for node in graph.nodes:
        if node.op != "add" or len(set(node.inputs)) != 2:
            continue
        for skip, end in (node.inputs, node.inputs[::-1]):
            alone = graph.readers(end) == (node.name,)
            if alone and skip in networkx.ancestors(graph.multigraph, end):
                yield end


def _last_scales(made: MixedOp | Operation, node: Node) -> Iterator[Tensor]:
    """The scale of a node that is a batch norm; of a decision, those of the candidates that end in one."""
    if node.op == MIXED:
        for path, graph in _candidates(made, node):
            last = {step.name: step.module for step in path.steps}.get(graph.output)
            if last is not None:
                yield from _last_scales(last, graph[graph.output])
    elif node.op == "bn":
        assert isinstance(made, Operation)
        yield made.own_tensors()["weight"]


def _candidates(made: MixedOp | Operation, node: Node) -> Iterator[tuple[GraphModule, Graph]]:
    assert isinstance(made, MixedOp)
    for index, candidate in enumerate(node.candidates):
        path = made.path(index)
        assert isinstance(path, GraphModule)
        yield path, candidate.graph
