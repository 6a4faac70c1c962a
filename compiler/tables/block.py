"""A block: the unit of a latency table from elsewhere, as a straight-line program of operators.

It is a `Kernel` in the language of kernel signatures (batch norm folded into what precedes it, no dropout),
but larger than what we build as one: a whole inverted bottleneck with its residual, say. Its text is written
by people too, so it may leave out what has a default, and write the operands of `add` and `mul` in any order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from compiler.ir.graph import Node
from compiler.ir.ops import OPERATORS, complete
from compiler.ir.types import Dimensions
from compiler.kernel import Kernel, Step, unchecked

TEXT_CAP = 4_000
"""The longest text of a block, in characters: a bottleneck takes about 450."""
COMMUTATIVE = ("add", "mul")
GONE = ("bn", "dropout", "identity")
"""Operators that no network has any more when it is priced."""

Form = tuple[int, tuple[tuple[str, tuple[int, ...]], ...]]
"""What kind of block it is, whatever its sizes: the number of inputs, then operator and operands of each step."""

_EXPONENT = re.compile(r"=[-+\d._]*[eE]")


def read_block(text: str) -> Kernel:
    """The block of a text such as `f32 nhwc (16x8x8) conv(%0, out=32, kernel=1, bias=true); relu6(%1)`.

    Attributes that are left out have the defaults of the language.

    Raises:
        ValueError: it is not the text of a block; the message says why.
    """
    if len(text) > TEXT_CAP:
        raise ValueError(f"the text of a block has at most {TEXT_CAP:,} characters, not {len(text):,}")
    if _EXPONENT.search(text):
        raise ValueError("write numbers of a block without an exponent")
    try:
        written = unchecked(text)
    except (ValueError, ZeroDivisionError) as problem:
        raise ValueError(f"a block is not written like that ({problem})") from None
    steps = tuple(_completed(step) for step in written.steps)
    _check_wiring(len(written.inputs), steps)
    block = canonical(Kernel(written.inputs, steps))
    block.values  # noqa: B018  computing the shapes checks them
    return block


def _completed(step: Step) -> Step:
    """The step with defaults filled in."""
    if step.operator in GONE:
        way_out = (
            "fold it into the layer before it (`bias=true`)" if step.operator == "bn" else "leave it out"
        )
        raise ValueError(f"`{step.operator}` is no part of a block: {way_out}")
    if step.operator not in OPERATORS:
        raise ValueError(f"there is no operator `{step.operator}`")
    operator = OPERATORS[step.operator]
    known = [attribute.name for attribute in operator.attributes]
    names = [name for name, _ in step.attributes]
    for name in names:
        if name not in known or names.count(name) > 1:
            fault = "stands twice" if name in known else "is no attribute of it"
            raise ValueError(f"`{name}` of `{operator.name}` {fault}")
    return replace(step, attributes=tuple(complete(operator, step.settings).items()))  # type: ignore[arg-type]


def _check_wiring(inputs: int, steps: Sequence[Step]) -> None:
    """Each step reads what stands before it, and all but the last result is read."""
    for index, step in enumerate(steps):
        if not step.operands or not all(0 <= operand < inputs + index for operand in step.operands):
            raise ValueError(f"`{step.operator}` does not read values that stand before it")
    read = {operand for step in steps for operand in step.operands}
    idle = sorted(set(range(inputs + len(steps) - 1)) - read)
    if idle:
        raise ValueError(f"nothing reads %{idle[0]}")


def canonical(block: Kernel) -> Kernel:
    """The block with the operands of `add` and `mul` in order."""
    steps = [
        replace(step, operands=tuple(sorted(step.operands))) if step.operator in COMMUTATIVE else step
        for step in block.steps
    ]
    return Kernel(block.inputs, tuple(steps))


def block_of(nodes: Sequence[Node], shapes: Mapping[str, Dimensions]) -> Kernel:
    """The block that some nodes of a concrete graph are; `shapes` has the dimensions of every value."""
    inside = {node.name for node in nodes}
    read = [operand for node in nodes for operand in node.inputs]
    entering = tuple(dict.fromkeys(operand for operand in read if operand not in inside))
    index = {name: place for place, name in enumerate([*entering, *[node.name for node in nodes]])}
    steps = tuple(
        Step(node.op, node.attributes, tuple(index[operand] for operand in node.inputs))  # type: ignore[arg-type]
        for node in nodes
    )
    return canonical(Kernel(tuple(shapes[name] for name in entering), steps))


def form(block: Kernel) -> Form:
    """The kind of a block."""
    return len(block.inputs), tuple((step.operator, step.operands) for step in block.steps)
