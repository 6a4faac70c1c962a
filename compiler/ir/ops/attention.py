"""What vision transformers need beside linear layers: attention, and embeddings that are trained."""

from __future__ import annotations

import math
from collections.abc import Sequence

from compiler.ir.expression import Value, apply, show
from compiler.ir.ops.operator import Attributes, Demands, Shapes, token_sizes
from compiler.ir.types import Dimensions, TensorType


def attention(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """Queries [T, C], keys [S, C], values [S, D] -> [T, D]."""
    queries, keys, values = operands
    (tokens, channels), (sources, width) = token_sizes(queries, "attention"), token_sizes(keys, "attention")
    rows, result = token_sizes(values, "attention")
    where = f"`attention` of queries {queries}, keys {keys}, values {values}"
    demands.equal(channels, width, f"{where}: queries and keys differ in channels")
    demands.equal(sources, rows, f"{where}: keys and values differ in tokens")
    heads = attributes["heads"]
    for size in (channels, result):
        demands.divides(heads, size, f"{where}: {show(heads)} heads do not divide {show(size)} channels")
    return (tokens, result)


def attention_macs(operands: Sequence[Dimensions], result: Dimensions, attributes: Attributes) -> int:
    """Those of its two products: of queries and keys, and of their softmax and the values."""
    (tokens, channels), (sources, _) = operands[0], operands[1]
    return tokens * sources * (channels + result[-1])


def matmul(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """[T, S] x [S, D] -> [T, D]."""
    (tokens, inner), (rows, channels) = (token_sizes(operand, "matmul") for operand in operands)
    demands.equal(inner, rows, f"`matmul` of {operands[0]} and {operands[1]}")
    return (tokens, channels)


def matmul_macs(operands: Sequence[Dimensions], result: Dimensions, attributes: Attributes) -> int:
    """The inner dimension for each element of the result."""
    return math.prod(result) * operands[0][-1]


def class_token(
    operands: Sequence[TensorType], attributes: Attributes, demands: Demands
) -> tuple[Value, ...]:
    """[T, C] -> [T + 1, C]."""
    tokens, channels = token_sizes(operands[0], "class_token")
    return (apply("+", tokens, 1), channels)


def class_token_weights(operand: Dimensions, attributes: Attributes) -> Shapes:
    """The token [C]."""
    return {"weight": operand[1:]}


def position_embedding(
    operands: Sequence[TensorType], attributes: Attributes, demands: Demands
) -> tuple[Value, ...]:
    """[T, C] -> [T, C]."""
    return token_sizes(operands[0], "position_embedding")


def position_embedding_weights(operand: Dimensions, attributes: Attributes) -> Shapes:
    """An embedding [C] of each of T places."""
    return {"weight": operand}


def token(operands: Sequence[TensorType], attributes: Attributes, demands: Demands) -> tuple[Value, ...]:
    """[T, C] -> [C]."""
    tokens, channels = token_sizes(operands[0], "token")
    index = attributes["index"]
    message = f"`token` takes number {show(index)}, counted from 0, and {operands[0]} has {show(tokens)}"
    demands.require(apply("<", index, tokens), message)
    return (channels,)
