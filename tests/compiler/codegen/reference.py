"""Kernels for tests, and what they compute: PyTorch on the same values."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import numpy as np
import torch

from compiler.ir.types import Dimensions
from compiler.kernel import Kernel, Step
from compiler.nets.forward import FORWARD
from compiler.target import Target

Array = np.ndarray[Any, Any]
Weights = dict[tuple[int, str], Array]

AVX512 = Target("wide", "x86-64-v4", "x86_64-unknown-linux-gnu", vector_bits=512, registers=32)
AVX2 = Target("middle", "x86-64-v3", "x86_64-unknown-linux-gnu", vector_bits=256, registers=16)


def kernel(shapes: list[Dimensions], head: Step, *tail: str, residual: bool = False) -> Kernel:
    """A kernel of `head` on the shapes, then the residual, then elementwise operators of one operand."""
    result = Kernel(tuple(shapes), (head,)).output
    inputs = [*shapes, result] if residual else shapes
    steps = [head, *([Step("add", (), (len(inputs), len(inputs) - 1))] if residual else [])]
    for name in tail:
        steps.append(Step(name, (), (len(inputs) + len(steps) - 1,)))
    return Kernel(tuple(inputs), tuple(steps))


def conv(
    shape: Dimensions,
    out: int,
    size: int = 1,
    *tail: str,
    stride: int = 1,
    padding: int | None = None,
    dilation: int = 1,
    groups: int = 1,
    bias: bool = True,
    residual: bool = False,
) -> Kernel:
    """A convolution kernel."""
    padding = dilation * (size - 1) // 2 if padding is None else padding
    attributes = {
        "out": out,
        "kernel": size,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "bias": bias,
    }
    return kernel([shape], Step("conv", tuple(attributes.items()), (0,)), *tail, residual=residual)


def depthwise(
    shape: Dimensions,
    size: int = 3,
    *tail: str,
    stride: int = 1,
    dilation: int = 1,
    bias: bool = True,
    residual: bool = False,
) -> Kernel:
    """A depthwise kernel."""
    padding = dilation * (size - 1) // 2
    attributes = {"kernel": size, "stride": stride, "padding": padding, "dilation": dilation, "bias": bias}
    return kernel([shape], Step("depthwise", tuple(attributes.items()), (0,)), *tail, residual=residual)


def pool(operator: str, shape: Dimensions, size: int, stride: int, padding: int, *tail: str) -> Kernel:
    """A pooling kernel."""
    attributes = (("kernel", size), ("stride", stride), ("padding", padding))
    return kernel([shape], Step(operator, attributes, (0,)), *tail)


def linear(shape: Dimensions, out: int, *tail: str, bias: bool = True, residual: bool = False) -> Kernel:
    """A linear kernel."""
    head = Step("linear", (("out", out), ("bias", bias)), (0,))
    return kernel([shape], head, *tail, residual=residual)


def plain(operator: str, shapes: list[Dimensions], *tail: str) -> Kernel:
    """A kernel whose head has no attributes and reads all inputs."""
    return kernel(shapes, Step(operator, (), tuple(range(len(shapes)))), *tail)


def shuffle(shape: Dimensions, groups: int, *tail: str) -> Kernel:
    """A channel shuffle."""
    return kernel([shape], Step("channel_shuffle", (("groups", groups),), (0,)), *tail)


def values_of(kernel: Kernel, seed: int = 0) -> tuple[list[Array], Weights]:
    """Random inputs (channels first) and weights."""
    generator = np.random.default_rng(seed)
    inputs = [generator.standard_normal(shape, dtype=np.float32) for shape in kernel.inputs]
    weights = {
        (step, name): generator.standard_normal(shape, dtype=np.float32)
        / np.float32(sqrt(max(1, prod(shape[1:]))))
        for step, name, shape in kernel.weights
    }
    return inputs, weights


def run_reference(kernel: Kernel, inputs: list[Array], weights: Weights) -> Array:
    """The kernel's result (channels first) by PyTorch."""
    values = [torch.from_numpy(value)[None] for value in inputs]
    for index, step in enumerate(kernel.steps):
        operands = [values[operand] for operand in step.operands]
        parameters = {
            name: torch.from_numpy(weights[index, name])
            for name in ("weight", "bias")
            if (index, name) in weights
        }
        values.append(FORWARD[step.operator](operands, parameters, step.settings, "evaluate"))
    result: Array = values[-1][0].numpy()
    return result


def channels_last(value: Array) -> Array:
    """An image's values in the order that kernels have them in memory."""
    return np.ascontiguousarray(value.transpose(1, 2, 0) if value.ndim == 3 else value).reshape(-1)
