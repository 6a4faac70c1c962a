"""What a schedule template is, and what all of them share: the kernel taken apart, its function, its epilogue.

A template writes the code of one family of kernels and is steered by a few integers, its parameters. The
parameters are all that a tuning record keeps: the same kernel, target and parameters give the same code. So a
template's name carries a version, which is raised when the same parameters come to mean other code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np

from compiler.codegen.schedules.activation import FORMULAS, formula
from compiler.codegen.schedules.emit import (
    CACHE_LINE,
    Emitter,
    broadcast,
    integer,
    load,
    on_cpu,
    pointer,
    round_up,
    sequence,
    view,
)
from compiler.codegen.tvm_api import Expr, Statement, ir, statements, tirx
from compiler.ir.ops import ACTIVATIONS, OPERATORS
from compiler.ir.types import Dimensions
from compiler.kernel import FP32_BYTES, Kernel, Step
from compiler.target import Target

Parameters = Mapping[str, int]
Array = np.ndarray[Any, Any]
Weights = Mapping[tuple[int, str], Array]
"""A kernel's constants by (step, name), in PyTorch's layouts."""

LOWEST = -3.4028234663852886e38
"""The least fp32 number."""
LINE_VALUES = CACHE_LINE // FP32_BYTES
ELEMENTWISE = (*FORMULAS, "add", "mul")
"""Operators that may follow any other in its kernel."""


class Unsupported(ValueError):
    """A kernel that no template can write; the message says what about it."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A template's name and its parameters: what a tuning record keeps of a kernel's code."""

    template: str
    parameters: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, template: str, parameters: Parameters) -> Schedule:
        """The schedule with its parameters in order."""
        return cls(template, tuple(sorted(parameters.items())))

    @property
    def text(self) -> str:
        """Canonical JSON."""
        return json.dumps({"template": self.template, **dict(self.parameters)})


def read_schedule(text: str) -> Schedule:
    """The schedule whose text this is.

    Raises:
        ValueError: it is not one.
    """
    try:
        fields = json.loads(text)
        template = fields.pop("template")
        if not isinstance(template, str) or not all(type(value) is int for value in fields.values()):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"not a schedule: {text!r}") from None
    return Schedule.of(template, fields)


@dataclass(frozen=True, slots=True)
class Arguments:
    """The buffers of a kernel's function, flat."""

    inputs: tuple[Expr, ...]
    weights: Expr
    output: Expr


class Template(Protocol):
    """One family of kernels and the code for it."""

    name: str

    @property
    def operators(self) -> tuple[str, ...]:
        """What its kernels may begin with."""

    def applies(self, kernel: Kernel) -> bool:
        """Whether this template writes the kernel."""

    def candidates(self, kernel: Kernel, target: Target) -> list[Parameters]:
        """Parameters worth trying, best guess first; the first is the default schedule."""

    def emit(
        self,
        emitter: Emitter,
        kernel: Kernel,
        parameters: Parameters,
        target: Target,
        arguments: Arguments,
    ) -> None:
        """Write the code."""

    def pack(self, kernel: Kernel, parameters: Parameters, target: Target, weights: Weights) -> Array:
        """The kernel's constants as one flat fp32 array in the order the code reads them."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A kernel as an anchor and the elementwise steps after it.

    `main` is the kernel's input that the anchor reads first; `anchor` is None where all steps are elementwise.
    """

    kernel: Kernel
    anchor: Step | None

    @property
    def main(self) -> int:
        """The input that the anchor reads (its first, where there are several)."""
        return self.anchor.operands[0] if self.anchor else 0

    @property
    def epilogue(self) -> tuple[tuple[int, Step], ...]:
        """The elementwise steps with the index of their result."""
        first = 1 if self.anchor else 0
        count = len(self.kernel.inputs)
        return tuple((count + i, step) for i, step in enumerate(self.kernel.steps) if i >= first)


def dissect(kernel: Kernel) -> Anatomy:
    """Take a kernel apart.

    Raises:
        Unsupported: it is not an operator followed by elementwise ones.
    """
    if not kernel.steps:
        raise Unsupported("the kernel has no step")
    head, *tail = kernel.steps
    for step in tail if not _elementwise(head) else kernel.steps:
        if not _elementwise(step):
            raise Unsupported(f"`{step.operator}` must be the first step of its kernel: {kernel.signature}")
    return Anatomy(kernel, None if _elementwise(head) else head)


def _elementwise(step: Step) -> bool:
    return step.operator in ELEMENTWISE


def apply_epilogue(
    emitter: Emitter, anatomy: Anatomy, value: Expr, lanes: int, read: Callable[[int], Expr]
) -> Expr:
    """The kernel's result at some place, from the anchor's there; `read` loads an input at that place."""
    inputs = len(anatomy.kernel.inputs)
    values: dict[int, Expr] = {} if anatomy.anchor is None else {inputs: value}

    def operand(index: int) -> Expr:
        if index not in values:
            values[index] = emitter.let(read(index))
        return values[index]

    for index, step in anatomy.epilogue:
        result = _combine(emitter, step, [operand(i) for i in step.operands], lanes)
        values[index] = emitter.let(result)
    return values[inputs + len(anatomy.kernel.steps) - 1]


def read_at(kernel: Kernel, arguments: Arguments, index: int, place: Expr, lanes: int) -> Expr:
    """An input of an elementwise step where the result is at `place`, vectors lying in one pixel's channels.

    An input may have fewer elements than the result: one for each channel, or one for each pixel.
    """
    shape, source = kernel.inputs[index], arguments.inputs[index]
    channels = image(kernel.output)[2]
    if shape == kernel.output:
        return load(source, place, lanes)
    if len(shape) < len(kernel.output):
        return load(source, place % channels, lanes)
    return broadcast(load(source, place // channels), lanes)


def _combine(emitter: Emitter, step: Step, operands: Sequence[Expr], lanes: int) -> Expr:
    if step.operator in FORMULAS:
        return formula(emitter, step.operator, step.settings, operands[0], lanes)
    result = operands[0]
    for other in operands[1:]:
        result = result + other if step.operator == "add" else result * other
    return result


def write_function(
    template: Template, kernel: Kernel, parameters: Parameters, target: Target, symbol: str
) -> Statement:
    """The kernel as a TIR function `symbol(inputs..., weights, output)` of plain pointers.

    It returns 0, or the code of a failed parallel launch. It has a symbol of its own and the plain C calling
    convention, so that LLVM compiles it by itself and the code that is measured is the code that ships.
    """
    emitter = Emitter(hints=target.kind != "c")
    names = [*[f"input{index}" for index in range(len(kernel.inputs))], "weights", "output"]
    weights = packed_size(kernel)
    sizes = [*[prod(shape) for shape in kernel.inputs], weights, prod(kernel.output)]
    data = [pointer(name) for name in names]
    buffers = [view(emitter, *parts) for parts in zip(data, sizes, names, strict=True)]
    arguments = Arguments(tuple(buffers[:-2]), buffers[-2], buffers[-1])
    template.emit(emitter, kernel, parameters, target, arguments)
    # Buffers are given back where their block ends: a return inside it would keep them for ever.
    body = sequence([on_cpu(emitter.body()), statements.Return(integer(0))])
    function = tirx.PrimFunc(data, body, ret_type=ir.PrimType("int32"))
    return (
        function.with_attr("global_symbol", symbol)
        .with_attr("calling_conv", 1)
        .with_attr("tirx.noalias", True)
    )


def packed_size(kernel: Kernel) -> int:
    """An upper bound of the packed constants, in fp32 values; every part starts on a cache line."""
    return sum(round_up(prod(shape), LINE_VALUES) for _, _, shape in kernel.weights) + LINE_VALUES


def concatenate(parts: Sequence[Array]) -> Array:
    """Flat fp32 parts one after another, each starting on a cache line."""
    padded = []
    for part in parts:
        flat = np.ascontiguousarray(part, dtype=np.float32).reshape(-1)
        padded.append(np.pad(flat, (0, round_up(flat.size, LINE_VALUES) - flat.size)))
    return np.concatenate(padded) if padded else np.zeros(0, dtype=np.float32)


def image(shape: Dimensions) -> tuple[int, int, int]:
    """Dimensions as (height, width, channels): [tokens, channels] is one row, [channels] one pixel."""
    if len(shape) == 3:
        return shape[1], shape[2], shape[0]
    return (1, shape[0], shape[1]) if len(shape) == 2 else (1, 1, shape[0])


def setting(step: Step, name: str) -> int:
    """An integer attribute of a step."""
    value = step.settings[name]
    assert isinstance(value, int)
    return value


assert set(FORMULAS) >= set(ACTIVATIONS)
assert set(FORMULAS) <= set(OPERATORS)
