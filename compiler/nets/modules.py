"""Operators as PyTorch modules: one class, whose forward is looked up in one table.

Tensors are `[batch, channels, height, width]` (channels-last in memory), `[batch, tokens, channels]` or
`[batch, channels]`. Weights and statistics have the names, shapes and layouts of `compiler.ir.ops`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal as OneOf

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compiler.ir.expression import Value
from compiler.ir.graph import Node
from compiler.ir.ops import OPERATORS
from compiler.ir.types import Dimensions
from compiler.nets.streams import stream

Mode = OneOf["train", "observe", "evaluate"]
"""`train`: batch norm uses the batch's statistics and updates the running ones, dropout is on.
`observe`: the batch's statistics, nothing updated, no dropout: what an architecture step sees.
`evaluate`: the running statistics, no dropout."""


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


Settings = Mapping[str, int | float]
Weights = Mapping[str, Tensor]
Forward = Callable[[Sequence[Tensor], Weights, Settings, Run], Tensor]


def _conv(operands: Sequence[Tensor], weights: Weights, settings: Settings, run: Run) -> Tensor:
    stride, padding, dilation = (int(settings[name]) for name in ("stride", "padding", "dilation"))
    groups = int(settings.get("groups", operands[0].shape[1]))
    return F.conv2d(
        operands[0], weights["weight"], weights.get("bias"), stride, padding, dilation, groups=groups
    )


def _linear(operands: Sequence[Tensor], weights: Weights, settings: Settings, run: Run) -> Tensor:
    return F.linear(operands[0], weights["weight"], weights.get("bias"))


def _bn(operands: Sequence[Tensor], weights: Weights, settings: Settings, run: Run) -> Tensor:
    values = operands[0].transpose(1, 2) if operands[0].dim() == 3 else operands[0]
    observed = run.mode == "observe"
    result = F.batch_norm(
        values,
        None if observed else weights["running_mean"],
        None if observed else weights["running_var"],
        weights["weight"],
        weights["bias"],
        training=run.mode != "evaluate",
        momentum=float(settings["momentum"]),
        eps=float(settings["eps"]),
    )
    return result.transpose(1, 2) if operands[0].dim() == 3 else result


def _max_pool(operands: Sequence[Tensor], weights: Weights, settings: Settings, run: Run) -> Tensor:
    kernel, stride, padding = (int(settings[name]) for name in ("kernel", "stride", "padding"))
    return F.max_pool2d(operands[0], kernel, stride, padding)


def _avg_pool(operands: Sequence[Tensor], weights: Weights, settings: Settings, run: Run) -> Tensor:
    """The mean of what lies inside the image: padding does not count (as in NAS-Bench-201 and DARTS)."""
    kernel, stride, padding = (int(settings[name]) for name in ("kernel", "stride", "padding"))
    return F.avg_pool2d(operands[0], kernel, stride, padding, count_include_pad=False)


def _dropout(operands: Sequence[Tensor], weights: Weights, settings: Settings, run: Run) -> Tensor:
    return F.dropout(operands[0], float(settings["rate"]), training=run.mode == "train")


def _concat(operands: Sequence[Tensor], weights: Weights, settings: Settings, run: Run) -> Tensor:
    return torch.cat(list(operands), dim=1 if operands[0].dim() == 4 else -1)


def _pointwise(function: Callable[[Tensor], Tensor]) -> Forward:
    return lambda operands, weights, settings, run: function(operands[0])


FORWARD: Mapping[str, Forward] = {
    "conv": _conv,
    "depthwise": _conv,
    "linear": _linear,
    "bn": _bn,
    "relu": _pointwise(F.relu),
    "relu6": _pointwise(F.relu6),
    "sigmoid": _pointwise(torch.sigmoid),
    "hsigmoid": _pointwise(F.hardsigmoid),
    "hswish": _pointwise(F.hardswish),
    "swish": _pointwise(F.silu),
    "gelu": _pointwise(F.gelu),
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "global_pool": _pointwise(lambda values: values.mean((2, 3))),
    "dropout": _dropout,
    "identity": _pointwise(lambda values: values),
    "zero": _pointwise(torch.zeros_like),
    "add": lambda operands, weights, settings, run: reduce(torch.add, operands),
    "mul": lambda operands, weights, settings, run: reduce(torch.mul, operands),
    "concat": _concat,
}
"""What each operator computes."""

OVERWRITES: Mapping[str, Forward] = {
    "relu": _pointwise(torch.relu_),
    "relu6": _pointwise(lambda values: F.relu6(values, inplace=True)),
}
"""Operators whose gradient needs their result only, so that they may overwrite their operand."""


def _number(value: Value) -> int | float:
    return value if isinstance(value, bool | int) else float(value)  # type: ignore[arg-type]


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
        return self._compute(operands, self.own_tensors(), self.settings, run)

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


def initialise(module: nn.Module, seed: int) -> None:
    """Set every weight in `module` afresh, each from the stream of its own name.

    Convolutions: He et al. 2015, normal, fan-out (as MobileNetV2's and ProxylessNAS's public code);
    linear layers: normal with deviation 0.01, bias 0; batch norm: 1 and 0.
    """
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            kind = name.rpartition(".")[2]
            if kind == "weight" and tensor.dim() > 1:
                fan_out = tensor.shape[0] * math.prod(tensor.shape[2:])
                deviation = math.sqrt(2 / fan_out) if tensor.dim() == 4 else 0.01
                values = torch.empty(tensor.shape).normal_(
                    0, deviation, generator=stream(seed, f"init {name}")
                )
                tensor.copy_(values)
            else:
                tensor.fill_(1.0 if kind in ("weight", "running_var") else 0.0)
