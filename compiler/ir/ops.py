"""The operator table: attributes, shape rule, weights and MACs of every operator, on one page.

A shape rule is written once and serves both stages: its arithmetic goes through `apply`, so that it
holds for integers and for expressions over decisions. What a rule demands goes through `Demands`, which
looks at every assignment of the decisions involved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal as OneOf

from compiler.ir.expression import (
    Literal,
    Value,
    apply,
    assignments,
    choices_of,
    counterexample,
    evaluate,
    is_symbolic,
    settle,
    show,
)
from compiler.ir.types import Dimensions, TensorType

Attributes = Mapping[str, Value]
Shapes = Mapping[str, Dimensions]


class TypeProblem(ValueError):
    """An operator that cannot stand where it is put: its operands or its attributes do not fit."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of an operator. `default` is None where the call must give it or the rule computes it."""

    name: str
    kind: OneOf["size", "count", "ratio", "flag"]
    default: Value | None = None
    required: bool = False


ShapeRule = Callable[[Sequence[TensorType], Attributes, "Demands"], tuple[Value, ...]]


def _no_shapes(operand: Dimensions, attributes: Attributes) -> Shapes:
    return {}


def _no_macs(operand: Dimensions, result: Dimensions, attributes: Attributes) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of the table.

    `weights` and `statistics` give the shapes of trained and of running tensors (PyTorch's names and
    layouts) from the first operand's dimensions. `macs` counts multiply-accumulates. `elementwise` says
    that each output element depends on the operands' elements at the same place; `in_place` that the
    result may take the operand's memory. `arity` None is one or more operands.
    """

    name: str
    rule: ShapeRule
    attributes: tuple[Attribute, ...] = ()
    arity: int | None = 1
    weights: Callable[[Dimensions, Attributes], Shapes] = _no_shapes
    statistics: Callable[[Dimensions, Attributes], Shapes] = _no_shapes
    macs: Callable[[Dimensions, Dimensions, Attributes], int] = _no_macs
    elementwise: bool = False
    in_place: bool = False

    def result(
        self, operands: Sequence[TensorType], attributes: Attributes, assuming: Value = True
    ) -> TensorType:
        """The type of the result, where `assuming` holds.

        Raises:
            TypeProblem: operands or attributes do not fit; the message says how, with the shapes.
        """
        if self.arity is not None and len(operands) != self.arity:
            raise TypeProblem(f"`{self.name}` takes {self.arity} operand(s), not {len(operands)}")
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


def _image(operand: TensorType, name: str) -> tuple[Value, Value, Value]:
    if len(operand.dimensions) != 3:
        raise TypeProblem(f"`{name}` takes [channels, height, width], not {operand}")
    channels, height, width = operand.dimensions
    return channels, height, width


def _extent(size: Value, attributes: Attributes) -> Value:
    window = apply("+", apply("*", attributes["dilation"], apply("-", attributes["kernel"], 1)), 1)
    padded = apply("+", size, apply("*", 2, attributes["padding"]))
    return apply("+", apply("//", apply("-", padded, window), attributes["stride"]), 1)


def _window(operand: TensorType, attributes: Attributes, demands: Demands, name: str) -> tuple[Value, Value]:
    _, height, width = _image(operand, name)
    extents = settle(_extent(height, attributes)), settle(_extent(width, attributes))
    for extent in extents:
        demands.require(apply(">=", extent, 1), f"the kernel of `{name}` does not fit into {operand}")
    return extents


def default_padding(kernel: Value, dilation: Value, name: str) -> Value:
    """The padding that keeps the size at stride 1: `dilation * (kernel - 1) / 2`.

    Raises:
        TypeProblem: the kernel is even, so that no such padding exists and the call must state one.
    """
    span = apply("*", dilation, apply("-", kernel, 1))
    Demands().require(
        apply("==", apply("%", span, 2), 0),
        f"`{name}` with kernel {show(kernel)} has no padding that keeps the size: state `padding`",
    )
    return settle(apply("//", span, 2))


def _conv(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    channels, _, _ = _image(operands[0], "conv")
    for size in (channels, attributes["out"]):
        demands.require(
            apply("==", apply("%", size, attributes["groups"]), 0),
            f"`conv` with {show(attributes['groups'])} groups does not divide {show(size)} channels",
        )
    return (attributes["out"], *_window(operands[0], attributes, demands, "conv"))


def _depthwise(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    channels, _, _ = _image(operands[0], "depthwise")
    return (channels, *_window(operands[0], attributes, demands, "depthwise"))


def _pool(name: str) -> ShapeRule:
    def rule(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
        channels, _, _ = _image(operands[0], name)
        half = apply("<=", apply("*", 2, attributes["padding"]), attributes["kernel"])
        demands.require(half, f"the padding of `{name}` is at most half its kernel")
        return (channels, *_window(operands[0], {**attributes, "dilation": 1}, demands, name))

    return rule


def _global_pool(
    operands: Sequence[TensorType], attributes: Attributes, demands: Demands
) -> tuple[Value, ...]:
    return (_image(operands[0], "global_pool")[0],)


def _linear(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    if len(operands[0].dimensions) == 3:
        raise TypeProblem(f"`linear` takes [channels] or [tokens, channels], not {operands[0]}: pool first")
    return (*operands[0].dimensions[:-1], attributes["out"])


def _same(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    return operands[0].dimensions


def _alike(name: str) -> ShapeRule:
    def rule(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
        first = operands[0]
        for other in operands[1:]:
            demands.alike(first, other, f"`{name}` of {first} and {other}")
        return first.dimensions

    return rule


def _concat(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    first = operands[0]
    axis = 0 if len(first.dimensions) == 3 else len(first.dimensions) - 1
    total: Value = 0
    for other in operands:
        message = f"`concat` of {first} and {other}"
        demands.equal(len(first.dimensions), len(other.dimensions), message)
        for index, (left, right) in enumerate(zip(first.dimensions, other.dimensions, strict=True)):
            if index != axis:
                demands.equal(left, right, message)
        total = apply("+", total, other.dimensions[axis])
    return (*first.dimensions[:axis], total, *first.dimensions[axis + 1 :])


def _int(attributes: Attributes, name: str) -> int:
    value = attributes[name]
    assert isinstance(value, int), f"{name} is not concrete"
    return value


def _conv_weights(operand: Dimensions, attributes: Attributes) -> Shapes:
    out, kernel = _int(attributes, "out"), _int(attributes, "kernel")
    weight = (out, operand[0] // _int(attributes, "groups"), kernel, kernel)
    return {"weight": weight, "bias": (out,)} if attributes["bias"] else {"weight": weight}


def _depthwise_weights(operand: Dimensions, attributes: Attributes) -> Shapes:
    kernel = _int(attributes, "kernel")
    weight = (operand[0], 1, kernel, kernel)
    return {"weight": weight, "bias": operand[:1]} if attributes["bias"] else {"weight": weight}


def _linear_weights(operand: Dimensions, attributes: Attributes) -> Shapes:
    out = _int(attributes, "out")
    return (
        {"weight": (out, operand[-1]), "bias": (out,)}
        if attributes["bias"]
        else {"weight": (out, operand[-1])}
    )


def _channels(operand: Dimensions) -> int:
    return operand[0] if len(operand) == 3 else operand[-1]


def _norm_weights(operand: Dimensions, attributes: Attributes) -> Shapes:
    channels = (_channels(operand),)
    return {"weight": channels, "bias": channels}


def _norm_statistics(operand: Dimensions, attributes: Attributes) -> Shapes:
    channels = (_channels(operand),)
    return {"running_mean": channels, "running_var": channels}


def _conv_macs(operand: Dimensions, result: Dimensions, attributes: Attributes) -> int:
    window = _int(attributes, "kernel") ** 2 * (operand[0] // _int(attributes, "groups"))
    return math.prod(result) * window


def _depthwise_macs(operand: Dimensions, result: Dimensions, attributes: Attributes) -> int:
    return math.prod(result) * _int(attributes, "kernel") ** 2


def _linear_macs(operand: Dimensions, result: Dimensions, attributes: Attributes) -> int:
    return math.prod(result) * operand[-1]


_OUT = Attribute("out", "size", required=True)
_KERNEL = Attribute("kernel", "size", required=True)
_STRIDE = Attribute("stride", "size", 1)
_PADDING = Attribute("padding", "count")
_DILATION = Attribute("dilation", "size", 1)
_GROUPS = Attribute("groups", "size", 1)

ACTIVATIONS = ("relu", "relu6", "sigmoid", "hsigmoid", "hswish", "swish", "gelu")

_TABLE = (
    Operator(
        "conv",
        _conv,
        (_OUT, _KERNEL, _STRIDE, _PADDING, _DILATION, _GROUPS, Attribute("bias", "flag", False)),
        weights=_conv_weights,
        macs=_conv_macs,
    ),
    Operator(
        "depthwise",
        _depthwise,
        (_KERNEL, _STRIDE, _PADDING, _DILATION, Attribute("bias", "flag", False)),
        weights=_depthwise_weights,
        macs=_depthwise_macs,
    ),
    Operator(
        "linear", _linear, (_OUT, Attribute("bias", "flag", True)), weights=_linear_weights, macs=_linear_macs
    ),
    Operator(
        "bn",
        _same,
        (Attribute("eps", "ratio", Fraction(1, 100_000)), Attribute("momentum", "ratio", Fraction(1, 10))),
        weights=_norm_weights,
        statistics=_norm_statistics,
        elementwise=True,
        in_place=True,
    ),
    *[Operator(name, _same, elementwise=True, in_place=True) for name in ACTIVATIONS],
    Operator("max_pool", _pool("max_pool"), (_KERNEL, _STRIDE, _PADDING)),
    Operator("avg_pool", _pool("avg_pool"), (_KERNEL, _STRIDE, _PADDING)),
    Operator("global_pool", _global_pool),
    Operator(
        "dropout", _same, (Attribute("rate", "ratio", Fraction(1, 2)),), elementwise=True, in_place=True
    ),
    Operator("identity", _same, elementwise=True, in_place=True),
    Operator("zero", _same, elementwise=True),
    Operator("add", _alike("add"), arity=None, elementwise=True),
    Operator("mul", _alike("mul"), arity=None, elementwise=True),
    Operator("concat", _concat, arity=None),
)

OPERATORS: Mapping[str, Operator] = {operator.name: operator for operator in _TABLE}
"""Every operator that computes, by name. A graph's `input`, `select` and `mixed` are not operators."""

MERGES = ("add", "concat", "mul")
"""Operators of one or more operands; in the language they are wiring, not steps."""


def complete(operator: Operator, given: Mapping[str, Value]) -> dict[str, Value]:
    """All attributes of a call, in the table's order, defaults filled in and each checked against its kind.

    Raises:
        TypeProblem: one is missing, or is not of its kind.
    """
    attributes: dict[str, Value] = {}
    for attribute in operator.attributes:
        value = given.get(attribute.name, attribute.default)
        if value is None and attribute.required:
            raise TypeProblem(f"`{operator.name}` needs `{attribute.name}`")
        if value is not None:
            _check_kind(operator, attribute, value)
            attributes[attribute.name] = value
        elif attribute is _PADDING:
            attributes["padding"] = _padding_of(operator, given)
    order = [attribute.name for attribute in operator.attributes]
    return {name: attributes[name] for name in order}


def _padding_of(operator: Operator, given: Mapping[str, Value]) -> Value:
    kernel = given["kernel"]
    pools_evenly = operator.name.endswith("_pool") and isinstance(kernel, int) and kernel % 2 == 0
    return 0 if pools_evenly else default_padding(kernel, given.get("dilation", 1), operator.name)


def _check_kind(operator: Operator, attribute: Attribute, value: Value) -> None:
    for literal in _literals(value):
        wanted = _misfit(attribute, literal)
        if wanted:
            what = f"`{attribute.name}` of `{operator.name}`"
            raise TypeProblem(f"{what} is {show(literal)}, and must be {wanted}")


def _misfit(attribute: Attribute, literal: Literal) -> str | None:
    """What the literal should have been, or None where it fits."""
    if attribute.kind == "flag":
        return None if isinstance(literal, bool) else "true or false"
    number = None if isinstance(literal, bool | str) else literal
    if attribute.kind == "ratio":
        return None if number is not None and 0 <= number <= 1 else "a number from 0 to 1"
    least = 1 if attribute.kind == "size" else 0
    fits = isinstance(number, int) and least <= number <= SIZE_CAP
    return None if fits else f"an integer from {least} to {SIZE_CAP:,}"


SIZE_CAP = 1_000_000
"""The largest dimension or attribute: bounds what a hostile file can ask for."""


def _literals(value: Value) -> list[Literal]:
    if not is_symbolic(value):
        return [value]  # type: ignore[list-item]
    return sorted({evaluate(value, assignment) for assignment in assignments(choices_of(value))}, key=str)
