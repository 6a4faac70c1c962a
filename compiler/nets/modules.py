"""Operators as PyTorch modules: one class, whose forward is looked up in one table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial

import torch
from torch import Tensor, nn

from compiler.ir.expression import Value
from compiler.ir.graph import Node
from compiler.ir.ops import OPERATORS
from compiler.ir.types import Dimensions
from compiler.nets.batch_norm import Total, shared_batch_norm
from compiler.nets.forward import FORWARD, OVERWRITES, Mode
from compiler.nets.streams import stream


@dataclass(frozen=True)
class Run:
    """How one forward pass is done: the mode, the path of each decision, and its gates in an architecture step.

    `paths` maps a decision's name to the index of the candidate that runs. In an architecture step,
    `compared` maps it to the indices of the candidates whose gates get a gradient, and `gates` to those
    gates, shape `[compared]`.
    """

    mode: Mode
    paths: Mapping[str, int] = field(default_factory=dict)
    compared: Mapping[str, Sequence[int]] = field(default_factory=dict)
    gates: Mapping[str, Tensor] | None = None


def _number(value: Value) -> int | Fraction:
    assert isinstance(value, int | Fraction), f"{value} is not concrete"
    return value


class Operation(nn.Module):
    """One node of a graph: its weights and running statistics, and what it computes.

    `in_place` says that nothing else reads the operand, and that its producer does not need it either.
    """

    def __init__(self, node: Node, operand: Dimensions, in_place: bool = False) -> None:
        super().__init__()
        operator = OPERATORS[node.op]
        self.op = node.op
        self.settings = {name: _number(value) for name, value in node.attributes}
        table = OVERWRITES if in_place and node.op in OVERWRITES else FORWARD
        self._compute = table[node.op]
        weights = operator.weights(operand, node.settings)
        statistics = operator.statistics(operand, node.settings)
        for name, shape in weights.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        for name, shape in statistics.items():
            self.register_buffer(name, torch.empty(shape))
        self._names = (*weights, *statistics)

    def forward(self, operands: Sequence[Tensor], run: Run) -> Tensor:
        """The node's value."""
        return self._compute(operands, self.own_tensors(), self.settings, run.mode)

    def own_tensors(self) -> dict[str, Tensor]:
        """Weights and statistics by name."""
        return {name: getattr(self, name) for name in self._names}


def register(parent: nn.Module, name: str, child: nn.Module) -> None:
    """Register a submodule under a node's dotted name, in a module for each part of it.

    The keys of `state_dict` come out as the node's name, a dot, and the tensor's name. `add_module` will not
    do: it refuses names of PyTorch's own methods (`type`, `half`), which a graph may use.
    """
    place, _, last = name.rpartition(".")
    for part in place.split(".") if place else ():
        parent = parent._modules.setdefault(part, nn.Module())  # type: ignore[assignment]
    existing = parent._modules.get(last)
    if existing is not None:
        child._modules.update(existing._modules)
    parent._modules[last] = child


def unregister(parent: nn.Module, name: str) -> None:
    """Take out a submodule that `register` put there; what else has its name in front stays."""
    place, _, last = name.rpartition(".")
    for part in place.split(".") if place else ():
        parent = parent._modules[part]  # type: ignore[assignment]
    del parent._modules[last]


def synchronise(module: nn.Module, total: Total) -> None:
    """Let every batch norm in `module` take its statistics over all processes, which `total` sums over."""
    for operation in module.modules():
        if isinstance(operation, Operation) and operation.op == "bn":
            operation._compute = partial(shared_batch_norm, total)


def initialise(module: nn.Module, seed: int) -> None:
    """Set every weight in `module` afresh, each from the stream of its own name.

    Convolutions: He et al. 2015, normal, fan-out (as MobileNetV2's and ProxylessNAS's public code);
    linear layers: normal with deviation 0.01, bias 0; class tokens and position embeddings: normal with
    deviation 0.02 (as DeiT's public code); norms: 1 and 0; layer scales: what they state.
    """
    with torch.no_grad():
        for place, operation in module.named_modules():
            if isinstance(operation, Operation):
                for kind, tensor in operation.own_tensors().items():
                    _initialise(operation, kind, tensor, stream(seed, f"init {place}.{kind}"))


def _initialise(operation: Operation, kind: str, tensor: Tensor, generator: torch.Generator) -> None:
    deviation = _deviation(operation, tensor) if kind == "weight" else None
    if deviation is not None:
        # Drawn apart and copied, so that the values do not depend on the tensor's layout in memory.
        tensor.copy_(torch.empty(tensor.shape).normal_(0, deviation, generator=generator))
    elif operation.op == "layer_scale":
        tensor.fill_(float(operation.settings["initial"]))
    else:
        tensor.fill_(1.0 if kind in ("weight", "running_var") else 0.0)


def _deviation(operation: Operation, weight: Tensor) -> float | None:
    """The deviation of a weight's first values; None where they are constant."""
    if operation.op in ("conv", "depthwise", "conv_transpose"):
        out = int(operation.settings.get("out", weight.shape[0]))
        return math.sqrt(2 / (out * math.prod(weight.shape[2:])))
    return {"linear": 0.01, "class_token": 0.02, "position_embedding": 0.02}.get(operation.op)
