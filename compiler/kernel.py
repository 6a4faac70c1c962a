"""A kernel: the unit that is tuned, priced, built and timed, and the signature it is known by.

A kernel is a straight-line program of operators on fp32 tensors at batch 1, laid out NHWC: usually a
convolution with its bias, activation and residual. Its signature is its canonical text, without names,
so that the same work in two networks is one kernel; latency table, tuning records, bundle and benchmark
share it, and `parse` reads it back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod

from compiler.ir.expression import Scalar, show
from compiler.ir.ops import OPERATORS, pair
from compiler.ir.types import Dimensions, TensorType

FP32_BYTES = 4


@dataclass(frozen=True, slots=True)
class Step:
    """One operator of a kernel; operands count the kernel's inputs first, then earlier steps' results."""

    operator: str
    attributes: tuple[tuple[str, Scalar], ...]
    operands: tuple[int, ...]

    @property
    def settings(self) -> Mapping[str, Scalar]:
        """The attributes by name."""
        return dict(self.attributes)


@dataclass(frozen=True)
class Kernel:
    """`inputs` are dimensions as the language has them ([channels, height, width]); memory is NHWC.

    The result of the last step is the result of the kernel; every other result is read inside it alone.
    """

    inputs: tuple[Dimensions, ...]
    steps: tuple[Step, ...]

    @cached_property
    def values(self) -> tuple[Dimensions, ...]:
        """The dimensions of every value: the inputs, then the result of each step."""
        values = list(self.inputs)
        for step in self.steps:
            operands = [TensorType(values[index]) for index in step.operands]
            values.append(OPERATORS[step.operator].result(operands, step.settings).sizes)
        return tuple(values)

    @property
    def output(self) -> Dimensions:
        """The dimensions of the result."""
        return self.values[-1]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run."""
        return sum(self._macs(index) for index in range(len(self.steps)))

    def _macs(self, index: int) -> int:
        step = self.steps[index]
        operands = [self.values[operand] for operand in step.operands]
        return OPERATORS[step.operator].macs(operands, self.values[len(self.inputs) + index], step.settings)

    @property
    def arithmetic_macs(self) -> int:
        """The multiply-accumulates that meet an input: those on padding are left out, as a kernel may skip them."""
        return sum(self._arithmetic(index) for index in range(len(self.steps)))

    def _arithmetic(self, index: int) -> int:
        step = self.steps[index]
        if step.operator not in ("conv", "depthwise"):
            return self._macs(index)
        operand, result = self.values[step.operands[0]], self.values[len(self.inputs) + index]
        taps = [_taps(operand[axis + 1], result[axis + 1], step.settings, axis) for axis in (0, 1)]
        window = prod(pair(step.settings, "kernel"))
        return self._macs(index) * taps[0] * taps[1] // (result[1] * result[2] * window)

    @property
    def weights(self) -> tuple[tuple[int, str, Dimensions], ...]:
        """The constants it reads: (step, name, shape), PyTorch's names and layouts."""
        return tuple(
            (index, name, shape)
            for index, step in enumerate(self.steps)
            for name, shape in OPERATORS[step.operator]
            .weights(self.values[step.operands[0]], step.settings)
            .items()
        )

    @property
    def bytes_moved(self) -> int:
        """Bytes that must cross memory at least once: inputs, constants, result."""
        tensors = [*self.inputs, self.output, *[shape for _, _, shape in self.weights]]
        return FP32_BYTES * sum(prod(shape) for shape in tensors)

    @cached_property
    def signature(self) -> str:
        """The canonical text."""
        inputs = " ".join("x".join(map(str, shape)) for shape in self.inputs)
        return f"f32 nhwc ({inputs}) " + "; ".join(_step_text(step) for step in self.steps)


def _taps(size: int, out: int, settings: Mapping[str, Scalar], axis: int) -> int:
    """Window positions inside the input, over all outputs along one axis: 0 is down, 1 across."""
    kernel, stride, padding = (pair(settings, name)[axis] for name in ("kernel", "stride", "padding"))
    dilation = int(settings["dilation"])
    places = (y * stride - padding + k * dilation for y in range(out) for k in range(kernel))
    return sum(0 <= place < size for place in places)


def _step_text(step: Step) -> str:
    arguments = [f"%{operand}" for operand in step.operands]
    arguments += [f"{name}={show(value)}" for name, value in step.attributes]
    return f"{step.operator}({', '.join(arguments)})"


_SIGNATURE = re.compile(r"f32 nhwc \(([0-9x ]*)\) (.+)")
_STEP = re.compile(r"(\w+)\(([^()]*)\)")


def parse(signature: str) -> Kernel:
    """The kernel whose signature this is.

    Raises:
        ValueError: it is not the signature of a kernel that this version knows.
    """
    kernel = unchecked(signature)
    try:
        kernel.values  # noqa: B018  computing the shapes checks every step
    except (KeyError, IndexError, ValueError) as problem:
        raise ValueError(f"not a kernel of this version: {signature!r} ({problem})") from None
    return kernel


def unchecked(signature: str) -> Kernel:
    """What a text spells in the language of signatures; its operators, attributes and operands are not checked.

    Raises:
        ValueError: it is not in that language.
    """
    match = _SIGNATURE.fullmatch(signature)
    if match is None:
        raise ValueError(f"not a kernel signature: {signature!r}")
    inputs = tuple(tuple(int(size) for size in shape.split("x")) for shape in match[1].split())
    return Kernel(inputs, tuple(_read_step(text) for text in match[2].split("; ")))


def _read_step(text: str) -> Step:
    match = _STEP.fullmatch(text)
    if match is None:
        raise ValueError(f"not a kernel step: {text!r}")
    arguments = match[2].split(", ")
    operands = tuple(int(argument[1:]) for argument in arguments if argument.startswith("%"))
    pairs = [argument.split("=", 1) for argument in arguments if not argument.startswith("%")]
    return Step(match[1], tuple((name, _read_literal(value)) for name, value in pairs), operands)


def _read_literal(text: str) -> Scalar:
    if text in ("true", "false"):
        return text == "true"
    fraction = Fraction(text)
    return int(fraction) if fraction.denominator == 1 else fraction
