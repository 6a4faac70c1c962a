"""What a row of the operator table is, and how its shape rule states what it demands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal as OneOf

from compiler.ir.enumeration import counterexample, settle
from compiler.ir.expression import Value, apply, show
from compiler.ir.types import Dimensions, TensorType

Attributes = Mapping[str, Value]
Shapes = Mapping[str, Dimensions]


class TypeProblem(ValueError):
    """An operator that cannot stand where it is put: its operands or its attributes do not fit."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of an operator.

    Where a call does not give it, it is its `default`, else what `compute` makes of the operator's name and
    of what the call gives; where there is neither, or it says what the attribute `unlike` says, it is left out, as
    is a flag without a default that is false.
    """

    name: str
    kind: OneOf["size", "count", "ratio", "factor", "flag"]
    default: Value | None = None
    required: bool = False
    compute: Callable[[str, Attributes], Value | None] | None = None
    unlike: str | None = None


ShapeRule = Callable[[Sequence[TensorType], Attributes, "Demands"], tuple[Value, ...]]


def _no_shapes(operand: Dimensions, attributes: Attributes) -> Shapes:
    return {}


def _no_macs(operands: Sequence[Dimensions], result: Dimensions, attributes: Attributes) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of the table.

    `weights` and `statistics` give the shapes of trained and of running tensors (PyTorch's names and
    layouts) from the first operand's dimensions. `macs` counts multiply-accumulates from the dimensions of
    all operands and of the result. `elementwise` says that each output element depends on the operands'
    elements at the same place (of a broadcast operand: at the same channel, or the same pixel); `in_place`
    that the result may take the operand's memory. `arity` None is one or more operands. `tensors` names the
    parameters that take further operands, behind the one that reaches the step, as in
    `attention(keys, values)`.
    """

    name: str
    rule: ShapeRule
    attributes: tuple[Attribute, ...] = ()
    arity: int | None = 1
    tensors: tuple[str, ...] = ()
    weights: Callable[[Dimensions, Attributes], Shapes] = _no_shapes
    statistics: Callable[[Dimensions, Attributes], Shapes] = _no_shapes
    macs: Callable[[Sequence[Dimensions], Dimensions, Attributes], int] = _no_macs
    elementwise: bool = False
    in_place: bool = False

    def result(
        self, operands: Sequence[TensorType], attributes: Attributes, assuming: Value = True
    ) -> TensorType:
        """The type of the result, where `assuming` holds.

        Raises:
            TypeProblem: operands or attributes do not fit; the message says how, with the shapes.
        """
        arity = self.arity and self.arity + len(self.tensors)
        if arity is not None and len(operands) != arity:
            raise TypeProblem(f"`{self.name}` takes {arity} operand(s), not {len(operands)}")
        return TensorType(tuple(settle(size) for size in self.rule(operands, attributes, Demands(assuming))))


@dataclass(frozen=True, slots=True)
class Demands:
    """What a shape rule demands, to hold under every assignment for which `assuming` holds."""

    assuming: Value = True

    def require(self, condition: Value, message: str) -> None:
        """Demand a condition.

        Raises:
            TypeProblem: it does not hold; the message names an assignment where it depends on one.
        """
        if condition is True:
            return
        implied = condition if self.assuming is True else apply("if", self.assuming, condition, True)
        breaking = counterexample(implied)
        if breaking is not None:
            where = ", ".join(f"{path} = {show(choice)}" for path, choice in breaking.items())
            raise TypeProblem(f"{message} (with {where})" if where else message)

    def equal(self, left: Value, right: Value, message: str) -> None:
        """Demand that two sizes agree; equal expressions need no enumeration."""
        if left != right:
            self.require(apply("==", left, right), message)

    def alike(self, left: TensorType, right: TensorType, message: str) -> None:
        """Demand that two types agree."""
        self.equal(len(left.dimensions), len(right.dimensions), message)
        for one, other in zip(left.dimensions, right.dimensions, strict=True):
            self.equal(one, other, message)

    def divides(self, divisor: Value, size: Value, message: str) -> None:
        """Demand that a size is a multiple of `divisor`; of 1 every size is one, whatever it depends on."""
        if divisor == 1:
            return
        self.require(apply("==", apply("%", size, divisor), 0), message)


def image(operand: TensorType, name: str) -> tuple[Value, Value, Value]:
    """Channels, height and width of an operand that must be an image.

    Raises:
        TypeProblem: it is none.
    """
    if len(operand.dimensions) != 3:
        raise TypeProblem(f"`{name}` takes [channels, height, width], not {operand}")
    channels, height, width = operand.dimensions
    return channels, height, width


def token_sizes(operand: TensorType, name: str) -> tuple[Value, Value]:
    """Tokens and channels of an operand that must be a sequence of tokens.

    Raises:
        TypeProblem: it is none.
    """
    if len(operand.dimensions) != 2:
        raise TypeProblem(f"`{name}` takes [tokens, channels], not {operand}")
    tokens, channels = operand.dimensions
    return tokens, channels


def channel_axis(rank: int) -> int:
    """Which dimension of a type of so many is the channels."""
    return 0 if rank == 3 else rank - 1


def same(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """The shape rule of operators that keep their operand's type."""
    return operands[0].dimensions


def integer(attributes: Attributes, name: str) -> int:
    """A concrete attribute."""
    value = attributes[name]
    assert isinstance(value, int), f"{name} is not concrete"
    return value
