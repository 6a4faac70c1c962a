"""How a node without a module of its own is written in the source of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TypeVar

from compiler.ir.expression import show
from compiler.ir.graph import Graph, Node
from compiler.ir.ops import pair
from compiler.ir.ops.movement import scale_factor
from compiler.ir.types import Dimensions

Number = TypeVar("Number", int, float)

Writer = Callable[[list[str], Node, Graph], str]
"""The text of a node from its operands' texts."""


def _call(name: str) -> Writer:
    return lambda operands, node, graph: f"{name}({', '.join(operands)})"


def _method(text: str) -> Writer:
    return lambda operands, node, graph: f"{operands[0]}.{text}"


def _operand(node: Node, graph: Graph) -> Dimensions:
    return graph[node.inputs[0]].type.sizes


def _channel_axis(node: Node) -> int:
    return 1 if len(node.type.dimensions) == 3 else -1


def _window(node: Node) -> str:
    sizes = {name: square(pair(node.settings, name)) for name in ("kernel", "stride", "padding")}
    ceil = ", ceil_mode=True" if node.settings.get("ceil_mode") else ""
    return f"{sizes['kernel']}, stride={sizes['stride']}, padding={sizes['padding']}{ceil}"


def square(sizes: tuple[Number, Number]) -> Number | tuple[Number, Number]:
    """One number where both are the same."""
    return sizes[0] if sizes[0] == sizes[1] else sizes


def _mul(operands: list[str], node: Node, graph: Graph) -> str:
    ranks = [len(graph[name].type.dimensions) for name in node.inputs]
    missing = {3: "[:, :, None, None]", 2: "[:, None]"}.get(max(ranks), "")
    return " * ".join(
        f"{text}{missing}" if rank == 1 else text for text, rank in zip(operands, ranks, strict=True)
    )


def _global(function: str) -> Writer:
    def write(operands: list[str], node: Node, graph: Graph) -> str:
        places = "(2, 3)" if len(_operand(node, graph)) == 3 else "1"
        return f"torch.{function}({operands[0]}, dim={places})"

    return write


def _slice(operands: list[str], node: Node, graph: Graph) -> str:
    taken = f"{show(node.settings['start'])}:{show(node.settings['stop'])}"
    return f"{operands[0]}[{':, ' if _channel_axis(node) == 1 else '..., '}{taken}]"


def _crop(operands: list[str], node: Node, graph: Graph) -> str:
    _, height, width = _operand(node, graph)
    top, left, bottom, right = (int(node.settings[side]) for side in ("top", "left", "bottom", "right"))  # type: ignore[arg-type]
    return f"{operands[0]}[:, :, {top}:{height - bottom}, {left}:{width - right}]"


def _channel_shuffle(operands: list[str], node: Node, graph: Graph) -> str:
    groups = show(node.settings["groups"])
    if _channel_axis(node) == 1:
        return f"F.channel_shuffle({operands[0]}, {groups})"
    return f"{operands[0]}.unflatten(-1, ({groups}, -1)).transpose(-1, -2).flatten(-2)"


def _resize(operands: list[str], node: Node, graph: Graph) -> str:
    scale = node.settings["scale"]
    assert isinstance(scale, int | Fraction)
    exact = Fraction(scale)
    if node.settings["bilinear"]:
        _, height, width = _operand(node, graph)
        factors = square((scale_factor(exact, height), scale_factor(exact, width)))
        return f'F.interpolate({operands[0]}, scale_factor={factors}, mode="bilinear")'
    if exact.denominator == 1:
        return f"F.interpolate({operands[0]}, scale_factor={exact.numerator})"
    rows, columns = (
        f"torch.arange({size}) * {exact.denominator} // {exact.numerator}" for size in node.type.sizes[1:]
    )
    return f"{operands[0]}[:, :, {rows}][..., {columns}]"


def _image(operands: list[str], node: Node, graph: Graph) -> str:
    return f"{operands[0]}.transpose(1, 2).unflatten(2, {node.type.sizes[1:]})"


FUNCTIONS: Mapping[str, Writer] = {
    "relu": _call("F.relu"),
    "relu6": _call("F.relu6"),
    "sigmoid": _call("torch.sigmoid"),
    "hsigmoid": _call("F.hardsigmoid"),
    "hswish": _call("F.hardswish"),
    "swish": _call("F.silu"),
    "gelu": _call("F.gelu"),
    "tanh": _call("torch.tanh"),
    "elu": _call("F.elu"),
    "leaky_relu": lambda operands, node, graph: (
        f"F.leaky_relu({operands[0]}, {float(node.settings['slope'])})"  # type: ignore[arg-type]
    ),
    "softmax": lambda operands, node, graph: f"F.softmax({operands[0]}, dim={_channel_axis(node)})",
    "zero": _call("torch.zeros_like"),
    "identity": lambda operands, node, graph: operands[0],
    "dropout": lambda operands, node, graph: (
        f"F.dropout({operands[0]}, {float(node.settings['rate'])}, self.training)"  # type: ignore[arg-type]
    ),
    "max_pool": lambda operands, node, graph: f"F.max_pool2d({operands[0]}, {_window(node)})",
    "avg_pool": lambda operands, node, graph: (
        f"F.avg_pool2d({operands[0]}, {_window(node)}, count_include_pad=False)"
    ),
    "global_pool": _global("mean"),
    "global_max_pool": _global("amax"),
    "slice": _slice,
    "crop": _crop,
    "channel_shuffle": _channel_shuffle,
    "resize": _resize,
    "flatten": _method("flatten(1)"),
    "tokens": _method("flatten(2).transpose(1, 2)"),
    "image": _image,
    "attention": lambda operands, node, graph: (
        f"attention({', '.join(operands)}, {show(node.settings['heads'])})"
    ),
    "matmul": lambda operands, node, graph: f"{operands[0]} @ {operands[1]}",
    "token": lambda operands, node, graph: f"{operands[0]}[:, {show(node.settings['index'])}]",
    "add": lambda operands, node, graph: " + ".join(operands),
    "mul": _mul,
    "concat": lambda operands, node, graph: f"torch.cat([{', '.join(operands)}], dim={_channel_axis(node)})",
}
"""What a node without weights is written as."""

TAKES_NAMES = frozenset(
    ("identity", "slice", "crop", "channel_shuffle", "resize", "flatten", "tokens", "image", "token")
)
"""Operators that are written behind their operand, which must then be a name."""


def _over(node: Node) -> str:
    return "[:, None, None]" if len(node.type.dimensions) == 3 else ""


def _transposed(operand: str, module: str, node: Node) -> str:
    return f"{module}({operand}.transpose(1, 2)).transpose(1, 2)"


def _channels_last(operand: str, module: str, node: Node) -> str:
    return f"{module}({operand}.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)"


def _class_token(operand: str, module: str, node: Node) -> str:
    return f"torch.cat([{module}.weight.expand(len({operand}), 1, -1), {operand}], dim=1)"


def module_writer(node: Node) -> Callable[[str, str, Node], str] | None:
    """How a module's value is written from its operand's name, the module and the node; None for a plain call."""
    rank = len(node.type.dimensions)
    if node.op == "bn" and rank == 2:
        return _transposed
    if node.op == "layer_norm" and rank == 3:
        return _channels_last
    return _LEARNED.get(node.op)


_LEARNED: Mapping[str, Callable[[str, str, Node], str]] = {
    "layer_scale": lambda operand, module, node: f"{operand} * {module}.weight{_over(node)}",
    "class_token": _class_token,
    "position_embedding": lambda operand, module, node: f"{operand} + {module}.weight",
}
