"""Kernels that hold several operators one after another, joined from kernels of one operator and split again.

A part is an operator with the elementwise operators that follow it: just the kernel that it is when it stands
alone, so that whatever is known of that kernel (its tile, its packed weights) serves the part as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from compiler.ir.expression import Scalar
from compiler.ir.ops import OPERATORS, pair
from compiler.kernel import Kernel, Step


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a chain.

    `kernel` is the part as a kernel of its own, `first` the index of its first step in the chain. `inputs` says
    where the part's inputs come from: an input of the chain, counted from 0, or -1 for the part before.
    """

    kernel: Kernel
    first: int
    inputs: tuple[int, ...]


BEFORE = -1
Value = TypeVar("Value")


def split(kernel: Kernel) -> tuple[Part, ...]:
    """The parts of a kernel, in order; a kernel of one operator is its own only part.

    Raises:
        ValueError: a part reads a value inside another one that is not the result of the part before.
    """
    starts = [i for i, step in enumerate(kernel.steps) if i == 0 or not OPERATORS[step.operator].elementwise]
    stops = [*starts[1:], len(kernel.steps)]
    return tuple(_part(kernel, start, stop) for start, stop in zip(starts, stops, strict=True))


def _part(kernel: Kernel, start: int, stop: int) -> Part:
    count = len(kernel.inputs)
    steps = kernel.steps[start:stop]
    read = [operand for step in steps for operand in step.operands]
    outside = tuple(dict.fromkeys(operand for operand in read if operand < count + start))
    if any(count <= operand < count + start - 1 for operand in outside):
        raise ValueError(f"a part reads inside another one: {kernel.signature}")
    place = {operand: index for index, operand in enumerate(outside)}
    place |= {count + start + index: len(outside) + index for index in range(len(steps))}
    own = tuple(Step(s.operator, s.attributes, tuple(place[i] for i in s.operands)) for s in steps)
    inputs = tuple(kernel.values[operand] for operand in outside)
    return Part(Kernel(inputs, own), start, tuple(i if i < count else BEFORE for i in outside))


def join(kernels: Sequence[Kernel], inputs: Sequence[Sequence[str]], outputs: Sequence[str]) -> Kernel:
    """The chain of kernels that read and write values by these names; its inputs are those that none writes."""
    names = chain_inputs(inputs, outputs)
    place: dict[str, int] = {name: index for index, name in enumerate(names)}
    steps: list[Step] = []
    shapes: dict[str, tuple[int, ...]] = {}
    for kernel, read, written in zip(kernels, inputs, outputs, strict=True):
        shapes.update(zip(read, kernel.inputs, strict=True))
        first = len(names) + len(steps)
        steps += [_moved(step, [place[name] for name in read], first) for step in kernel.steps]
        place[written] = len(names) + len(steps) - 1
    return Kernel(tuple(shapes[name] for name in names), tuple(steps))


def chain_inputs(inputs: Sequence[Sequence[str]], outputs: Sequence[str]) -> tuple[str, ...]:
    """The values that a chain reads from outside, in the order in which it reads them first."""
    inside = set(outputs)
    return tuple(dict.fromkeys(name for read in inputs for name in read if name not in inside))


def _moved(step: Step, inputs: Sequence[int], first: int) -> Step:
    """A step whose operands count from the chain's start."""
    count = len(inputs)
    operands = tuple(inputs[i] if i < count else first + i - count for i in step.operands)
    return Step(step.operator, step.attributes, operands)


def part_weights(part: Part, weights: Mapping[tuple[int, str], Value]) -> dict[tuple[int, str], Value]:
    """The constants of one part, by its own steps."""
    stop = part.first + len(part.kernel.steps)
    return {
        (step - part.first, name): value
        for (step, name), value in weights.items()
        if part.first <= step < stop
    }


@dataclass(frozen=True, slots=True)
class Chain:
    """A depthwise convolution with the convolution before it, the pointwise one after it, or both."""

    first: Part | None
    window: Part
    last: Part | None

    @property
    def parts(self) -> dict[str, Part]:
        """The parts there are, by their place, in order."""
        named = {"first": self.first, "window": self.window, "last": self.last}
        return {name: part for name, part in named.items() if part is not None}


ORDERS = (("conv", "depthwise"), ("conv", "depthwise", "conv"), ("depthwise", "conv"))


def chain_of(kernel: Kernel) -> Chain | None:
    """The kernel as a chain around a depthwise convolution whose windows are undilated and leave no row out."""
    operators = tuple(step.operator for step in kernel.steps if not OPERATORS[step.operator].elementwise)
    if operators not in ORDERS or kernel.steps[0].operator != operators[0]:
        return None
    try:
        parts = split(kernel)
    except ValueError:
        return None
    place = operators.index("depthwise")
    chain = Chain(
        parts[place - 1] if place else None,
        parts[place],
        parts[place + 1] if place + 1 < len(parts) else None,
    )
    pointwise = chain.last is None or _pointwise(chain.last.kernel.steps[0].settings)
    linked = all(map(_follows, parts[1:])) and all(len(part.inputs) == 1 for part in parts[:-1])
    return chain if linked and pointwise and _overlaps(chain.window.kernel.steps[0].settings) else None


def _follows(part: Part) -> bool:
    """Whether its first operator, and nothing else of it, reads the part before.

    A later one, as that of a residual around the part, would need the whole image where only some lines are.
    """
    first, *others = part.kernel.steps
    reads = [operand for step in others for operand in step.operands]
    once = first.operands.count(0) == 1 and 0 not in reads
    return part.inputs[0] == BEFORE and BEFORE not in part.inputs[1:] and once


def _pointwise(settings: Mapping[str, Scalar]) -> bool:
    wanted = {"kernel": (1, 1), "stride": (1, 1), "padding": (0, 0)}
    return settings["groups"] == 1 and all(pair(settings, name) == value for name, value in wanted.items())


def _overlaps(settings: Mapping[str, Scalar]) -> bool:
    return settings["dilation"] == 1 and pair(settings, "kernel")[0] >= pair(settings, "stride")[0]
