"""The module tree that a network's dotted names describe, for its source in plain PyTorch.

A *part* is a group of nodes under one prefix that a single module can stand for: its nodes follow each other
in the canonical order, and one value of it is read outside. Other prefixes only hold their children.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from torch import nn

from compiler.codegen.pytorch_functions import square
from compiler.ir.expression import Value
from compiler.ir.graph import INPUT, Graph, Network, Node
from compiler.ir.ops import OPERATORS, channel_axis, pair

Scalar = bool | int | float | tuple[int, int]


@dataclass
class Part:
    """One module: an operator with weights, or the children under a prefix.

    `entries` are the values that enter, `exit` the one that leaves; a part without an `exit` only holds its
    children, and its parent computes with them. `own` are the names of the nodes that it computes itself.
    """

    prefix: str
    attribute: str
    node: Node | None = None
    children: dict[str, Part] = field(default_factory=dict)
    nodes: list[str] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    exit: str | None = None

    @property
    def has_weights(self) -> bool:
        """True if there is something in it that an instance must hold."""
        return self.node is not None or any(child.has_weights for child in self.children.values())


def is_weighted(node: Node, graph: Graph) -> bool:
    """True for operators that are modules: those with weights."""
    return node.op != INPUT and bool(
        OPERATORS[node.op].weights(graph[node.inputs[0]].type.sizes, node.settings)
    )


def part_tree(network: Network) -> Part:
    """The parts of a network; the root stands for all of it."""
    graph = network.graph
    order = [node.name for node in graph.nodes if node.op != INPUT]
    root = Part("", "")
    for name in order:
        part = root
        part.nodes.append(name)
        *places, last = name.split(".")
        for depth, place in enumerate(places, 1):
            key = f"group {place}"
            prefix = ".".join(places[:depth])
            part = part.children.setdefault(key, Part(prefix, place))
            part.nodes.append(name)
        if is_weighted(graph[name], graph):
            part.children[f"node {last}"] = Part(name, last, graph[name], nodes=[name])
    places_of = {name: index for index, name in enumerate(order)}
    for part in _walk(root):
        _close(part, graph, places_of)
        _name_attributes(part)
    root.entries, root.exit = [node.name for node in graph.inputs], graph.output
    return root


def _walk(part: Part) -> Iterator[Part]:
    yield part
    for child in part.children.values():
        yield from _walk(child)


def _close(part: Part, graph: Graph, places: dict[str, int]) -> None:
    """Find what enters and leaves; a group that is torn apart, or of several results, gets no exit."""
    inside = set(part.nodes)
    reads = [operand for name in part.nodes for operand in graph[name].inputs if operand not in inside]
    part.entries = list(dict.fromkeys(reads))
    left = [name for name in part.nodes if name == graph.output or set(graph.readers(name)) - inside]
    together = places[part.nodes[-1]] - places[part.nodes[0]] == len(part.nodes) - 1 if part.nodes else True
    if part.node is not None or (len(left) == 1 and together and part.has_weights):
        part.exit = part.node.name if part.node else left[0]


def _name_attributes(part: Part) -> None:
    """Give each child a name that Python and `nn.Module` allow, its own where they do."""
    taken: set[str] = set()
    for child in part.children.values():
        name = re.sub(r"\W", "_", child.attribute)
        if not name.isidentifier() or keyword.iskeyword(name):
            name = f"_{name}"
        while name in taken or hasattr(nn.Module, name) or name in ("training", "x"):
            name += "_"
        taken.add(name)
        child.attribute = name


def renamed_keys(root: Part) -> dict[str, str]:
    """Prefixes of weights' names as attributes spell them, by the network's own, where the two differ."""
    found: dict[str, str] = {}

    def descend(part: Part, spelled: str) -> None:
        for child in part.children.values():
            path = f"{spelled}.{child.attribute}" if spelled else child.attribute
            if child.node is not None and path != child.prefix:
                found[child.prefix] = path
            descend(child, path)

    descend(root, "")
    return found


def constructor(node: Node, graph: Graph) -> tuple[str, dict[str, Scalar], dict[str, Scalar]]:
    """The module of an operator with weights: class, arguments, and the defaults that need not be written."""
    operand, settings = graph[node.inputs[0]].type.sizes, node.settings
    channels = operand[channel_axis(len(operand))]
    if node.op == "linear":
        sizes = {"in_features": channels, "out_features": _scalar(settings["out"])}
        return "nn.Linear", {**sizes, "bias": _scalar(settings["bias"])}, {"bias": True}
    if node.op == "bn":
        kind = "nn.BatchNorm2d" if len(operand) == 3 else "nn.BatchNorm1d"
        numbers = {name: _scalar(settings[name]) for name in ("eps", "momentum")}
        return kind, {"num_features": channels, **numbers}, {"eps": 1e-5, "momentum": 0.1}
    if node.op == "layer_norm":
        return (
            "nn.LayerNorm",
            {"normalized_shape": channels, "eps": _scalar(settings["eps"])},
            {"eps": 1e-5},
        )
    if node.op in ("layer_scale", "class_token", "position_embedding"):
        shape = OPERATORS[node.op].weights(operand, settings)["weight"]
        sizes = {f"size{axis}": size for axis, size in enumerate(shape)}
        return "Learned", {**sizes, "initial": _scalar(settings.get("initial", 0))}, {"initial": 0}
    return _convolution(node, channels)


def _convolution(node: Node, channels: int) -> tuple[str, dict[str, Scalar], dict[str, Scalar]]:
    settings, deep = node.settings, node.op == "depthwise"
    arguments: dict[str, Scalar] = {
        "in_channels": channels,
        "out_channels": channels if deep else _scalar(settings["out"]),
        "kernel_size": square(pair(settings, "kernel")),
        "stride": square(pair(settings, "stride")),
        "padding": square(pair(settings, "padding")),
    }
    names = [name for name in ("output_padding", "dilation") if name in settings]
    arguments |= {name: _scalar(settings[name]) for name in names}
    arguments["groups"] = channels if deep else _scalar(settings["groups"])
    arguments["bias"] = _scalar(settings["bias"])
    defaults: dict[str, Scalar] = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}
    kind = "nn.ConvTranspose2d" if node.op == "conv_transpose" else "nn.Conv2d"
    return kind, arguments, {**defaults, "bias": True}


def _scalar(value: Value) -> Scalar:
    assert isinstance(value, bool | int | Fraction), f"{value} is no number"
    return value if isinstance(value, bool | int) else float(value)
