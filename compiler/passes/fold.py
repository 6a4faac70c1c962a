"""Make a network ready for inference: batch norm and layer scale folded into what precedes them, dropout left out.

With running mean m, variance v, scale g and shift b, batch norm is the affine map y = s(x - m) + b with
s = g / sqrt(v + eps), one per channel. After a convolution or linear layer that nothing else reads, and
that belongs to the same decision unit, it goes into weights and bias. Anywhere else it stays as an affine
layer of its own: a depthwise 1x1 convolution on an image, a diagonal linear layer elsewhere. A
layer scale is such a map without a shift. Folding never crosses a decision, so that a candidate's kernels
are the same in the latency table and the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from compiler.ir.expression import Value
from compiler.ir.graph import INPUT, Graph, GraphBuilder, Network, Node
from compiler.ir.ops import OPERATORS, complete

Array = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]
Parameters = Mapping[str, Array]
"""Weights by `<node>.weight`, `.bias`, `.running_mean`, `.running_var`, in PyTorch's layouts."""

FOLDED = ("bn", "layer_scale")
"""Operators that are an affine map of each channel; none is left in a network that is ready for inference."""

_HOSTS = ("conv", "depthwise", "conv_transpose", "linear")


@dataclass(frozen=True, slots=True)
class _Fold:
    """A batch norm and the node that takes it in: itself where it stays as an affine layer."""

    norm: Node
    host: str


def for_inference(network: Network, parameters: Parameters) -> tuple[Network, dict[str, Array]]:
    """The same function as `network` in evaluation mode, without batch norm and dropout.

    Raises:
        KeyError: a parameter is missing.
    """
    return fold_batch_norm(replace(network, graph=drop_dropout(network.graph)), parameters)


def fold_batch_norm(network: Network, parameters: Parameters) -> tuple[Network, dict[str, Array]]:
    """The network with every batch norm folded, and its parameters, computed in float64, kept in float32.

    Raises:
        KeyError: a parameter is missing.
    """
    folds = _folds(network.graph)
    weights = {name: np.asarray(array, np.float64) for name, array in parameters.items()}
    for fold in folds:
        _fold_weights(network.graph[fold.host], fold.norm, weights)
    # What is too large for float32 becomes infinite, which whoever compares answers says better than a warning.
    with np.errstate(over="ignore"):
        folded = {name: np.ascontiguousarray(weight, np.float32) for name, weight in weights.items()}
    return replace(network, graph=_folded(network.graph, folds)), folded


def fold_graph(graph: Graph) -> Graph:
    """What `for_inference` makes of a graph, where there are no parameters yet."""
    kept = drop_dropout(graph)
    return _folded(kept, _folds(kept))


def drop_dropout(graph: Graph) -> Graph:
    """The graph with the readers of each dropout reading what it reads."""
    return _rebuild(graph, {node.name: node.inputs[0] for node in graph.nodes if node.op == "dropout"}, {})


def _folds(graph: Graph) -> list[_Fold]:
    hosts: dict[str, str] = {node.name: node.name for node in graph.nodes if node.op in _HOSTS}
    folds = []
    for norm in graph.nodes:
        if norm.op in FOLDED:
            operand = norm.inputs[0]
            host = hosts.get(operand) if _can_take(graph, hosts.get(operand), operand, norm) else None
            hosts[norm.name] = host or norm.name
            folds.append(_Fold(norm, hosts[norm.name]))
    return folds


def _can_take(graph: Graph, host: str | None, operand: str, norm: Node) -> bool:
    """Nothing but `norm` reads `operand`, which `host` computes in the same unit."""
    if host is None or graph[host].unit != norm.unit:
        return False
    return graph.readers(operand) == (norm.name,) and graph.output != operand


def _folded(graph: Graph, folds: list[_Fold]) -> Graph:
    aliases = {fold.norm.name: fold.norm.inputs[0] for fold in folds if fold.host != fold.norm.name}
    changed: dict[str, Node] = {}
    for fold in folds:
        host = graph[fold.host]
        changed[host.name] = _changed(host, fold.norm, changed.get(host.name, host))
    return _rebuild(graph, aliases, changed)


def _rebuild(graph: Graph, aliases: Mapping[str, str], changed: Mapping[str, Node]) -> Graph:
    """`graph` with some values read from elsewhere and some nodes replaced by another of the same name."""
    builder = GraphBuilder()
    for decision in graph.decisions:
        builder.declare(decision)
    for node in graph.nodes:
        if node.name not in aliases:
            inputs = tuple(_resolve(aliases, operand) for operand in node.inputs)
            builder.add(replace(changed.get(node.name, node), inputs=inputs))
    return builder.build(_resolve(aliases, graph.output))


def _resolve(aliases: Mapping[str, str], name: str) -> str:
    while name in aliases:
        name = aliases[name]
    return name


def _changed(host: Node, norm: Node, sofar: Node) -> Node:
    """What the host becomes with one more norm in it; a layer scale adds no bias."""
    if host.op in FOLDED and sofar is host:
        sofar = _affine(host)
    return sofar if norm.op == "layer_scale" else _with_bias(sofar)


def _with_bias(node: Node) -> Node:
    return replace(node, attributes=tuple({**node.settings, "bias": True}.items()))


def _affine(norm: Node) -> Node:
    """The layer that stands for a norm which nothing takes in."""
    image = len(norm.type.dimensions) == 3
    op = "depthwise" if image else "linear"
    given: dict[str, Value] = {"kernel": 1} if image else {"out": norm.type.channels}
    return replace(norm, op=op, attributes=tuple(complete(OPERATORS[op], {**given, "bias": False}).items()))


def _fold_weights(host: Node, norm: Node, weights: dict[str, Double]) -> None:
    """Scale the host's weights and set its bias, in `weights`; the norm's own parameters go."""
    scale, shift = _affine_map(norm, weights)
    if host.name == norm.name:
        image = len(norm.type.dimensions) == 3
        weights[f"{host.name}.weight"] = np.ones((len(scale), 1, 1, 1)) if image else np.eye(len(scale))
    weight = weights[f"{host.name}.weight"]
    weights[f"{host.name}.weight"] = _scaled(host, weight, scale)
    bias = weights.get(f"{host.name}.bias")
    if bias is not None:
        shift = bias * scale if shift is None else bias * scale + shift
    if shift is not None:
        weights[f"{host.name}.bias"] = shift


def _affine_map(norm: Node, weights: dict[str, Double]) -> tuple[Double, Double | None]:
    """Scale and shift of each channel, taken out of `weights`; None where nothing is shifted."""
    if norm.op == "layer_scale":
        return weights.pop(f"{norm.name}.weight"), None
    eps = norm.settings["eps"]
    assert isinstance(eps, int | Fraction)
    gain, shift, mean, variance = (
        weights.pop(f"{norm.name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / np.sqrt(variance + float(eps))
    return scale, shift - mean * scale


def _scaled(host: Node, weight: Double, scale: Double) -> Double:
    """The weight with every output channel scaled."""
    if host.op != "conv_transpose":
        return weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    groups = int(host.settings["groups"])  # type: ignore[arg-type]
    grouped = weight.reshape(groups, -1, *weight.shape[1:])
    return (grouped * scale.reshape(groups, 1, -1, 1, 1)).reshape(weight.shape)


def parameter_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter and running statistic of a network, by key."""
    shapes = {}
    for node in network.graph.nodes:
        if node.op != INPUT:
            operator, operand = OPERATORS[node.op], network.graph[node.inputs[0]].type.sizes
            settings = node.settings
            for part, shape in {
                **operator.weights(operand, settings),
                **operator.statistics(operand, settings),
            }.items():
                shapes[f"{node.name}.{part}"] = shape
    return shapes
