"""Small spaces and networks, built by hand for tests that need no text."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir.expression import Value
from compiler.ir.graph import INPUT, MIXED, Candidate, Graph, GraphBuilder, Network, Node, SpaceGraph
from compiler.ir.ops import OPERATORS, complete
from compiler.ir.types import TensorType


class Wiring(GraphBuilder):
    """A builder that infers types; a node's name is the prefix and the name given."""

    def __init__(self, prefix: str = "") -> None:
        super().__init__()
        self.prefix = prefix

    def enter(self, dimensions: Sequence[Value], name: str = "in") -> str:
        """An input."""
        return self.add(Node(name, INPUT, (), TensorType(tuple(dimensions))))

    def put(self, name: str, op: str, *operands: str, **attributes: Value) -> str:
        """An operator."""
        settings = complete(OPERATORS[op], attributes)
        result = OPERATORS[op].result([self[operand].type for operand in operands], settings)
        return self.add(Node(self.prefix + name, op, operands, result, tuple(settings.items())))

    def mixed(self, name: str, operand: str, candidates: Sequence[Candidate]) -> str:
        """A mixed node with one operand."""
        return self.add(Node(name, MIXED, (operand,), candidates[0].graph.type, candidates=tuple(candidates)))


def mbconv(wiring: Wiring, operand: str, out: int, kernel: int, expand: int, stride: int = 1) -> str:
    """MobileNetV2's block, with its residual where shapes match."""
    channels = wiring[operand].type.sizes[0]
    value = operand
    if expand > 1:
        value = wiring.put("conv1", "conv", value, out=channels * expand, kernel=1)
        value = wiring.put("relu6_1", "relu6", wiring.put("bn1", "bn", value))
    value = wiring.put("depthwise", "depthwise", value, kernel=kernel, stride=stride)
    value = wiring.put("relu6_2", "relu6", wiring.put("bn2", "bn", value))
    value = wiring.put("bn3", "bn", wiring.put("conv2", "conv", value, out=out, kernel=1))
    return wiring.put("add", "add", value, operand) if stride == 1 and channels == out else value


def mbconv_candidate(
    layer: str, dimensions: Sequence[Value], out: int, kernel: int, expand: int, stride: int
) -> Candidate:
    """An MBConv as a candidate of the layer's mixed node."""
    wiring = Wiring(f"{layer}.mbconv.")
    graph = wiring.build(mbconv(wiring, wiring.enter(dimensions), out, kernel, expand, stride))
    choices = ((f"{layer}.path", "mbconv"), (f"{layer}.kernel", kernel), (f"{layer}.expand", expand))
    return Candidate(f"k{kernel}e{expand}", graph, choices)


def skip_candidate(layer: str, dimensions: Sequence[Value]) -> Candidate:
    """Nothing but the residual: the graph's output is its input."""
    wiring = Wiring()
    return Candidate("skip", wiring.build(wiring.enter(dimensions)), ((f"{layer}.path", "skip"),))


def layer(
    wiring: Wiring,
    name: str,
    operand: str,
    out: int,
    stride: int = 1,
    kernels: Sequence[int] = (3, 5, 7),
    expands: Sequence[int] = (3, 6),
) -> str:
    """A searchable layer: MBConv of each kernel and expansion, and the skip where shapes match."""
    dimensions = wiring[operand].type.dimensions
    candidates = [
        mbconv_candidate(name, dimensions, out, kernel, expand, stride)
        for kernel in kernels
        for expand in expands
    ]
    if stride == 1 and dimensions[0] == out:
        candidates.append(skip_candidate(name, dimensions))
    return wiring.mixed(f"{name}.path", operand, candidates)


def stacked_space(
    widths: Sequence[tuple[int, int]],
    input_sizes: Sequence[int] = (1, 28, 28),
    stem: tuple[int, int] = (16, 2),
    head: int = 128,
    classes: int = 10,
    kernels: Sequence[int] = (3, 5, 7),
    expands: Sequence[int] = (3, 6),
) -> SpaceGraph:
    """Stem (width, stride), one searchable layer for each (width, stride), head, classifier."""
    wiring = Wiring()
    value = wiring.put("conv1", "conv", wiring.enter(input_sizes), out=stem[0], kernel=3, stride=stem[1])
    value = wiring.put("relu6_1", "relu6", wiring.put("bn1", "bn", value))
    for index, (width, stride) in enumerate(widths, 1):
        value = layer(wiring, f"layer{index}", value, width, stride, kernels, expands)
    value = wiring.put("conv2", "conv", value, out=head, kernel=1)
    value = wiring.put("relu6_2", "relu6", wiring.put("bn2", "bn", value))
    value = wiring.put("linear", "linear", wiring.put("global_pool", "global_pool", value), out=classes)
    return SpaceGraph("stacked", wiring.build(value))


def tiny_space() -> SpaceGraph:
    """Three layers of two or three candidates on 8x8 images: steps take milliseconds."""
    return stacked_space(
        [(8, 1), (12, 2), (12, 1)], (1, 8, 8), stem=(8, 1), head=24, kernels=(3, 5), expands=(2,)
    )


def blocked_space() -> SpaceGraph:
    """One layer whose candidates are a convolution and `zero`, which lets no gradient through."""
    wiring, inner, none = Wiring(), Wiring("layer.conv."), Wiring("layer.none.")
    stem = wiring.put("stem", "conv", wiring.enter((1, 8, 8)), out=4, kernel=3)
    body = inner.build(
        inner.put("bn", "bn", inner.put("conv", "conv", inner.enter((4, 8, 8)), out=4, kernel=3))
    )
    nothing = none.build(none.put("zero", "zero", none.enter((4, 8, 8))))
    candidates = [
        Candidate("conv", body, (("layer", "conv"),)),
        Candidate("none", nothing, (("layer", "none"),)),
    ]
    pooled = wiring.put("pool", "global_pool", wiring.mixed("layer", stem, candidates))
    return SpaceGraph("blocked", wiring.build(wiring.put("linear", "linear", pooled, out=10)))


def derived(space: SpaceGraph, picks: Sequence[int]) -> Network:
    """The network along the picked candidates of a flattened space, nodes keeping their names."""
    wiring, remaining, names = Wiring(), iter(picks), dict[str, str]()
    choices: dict[str, Value] = {}
    for node in space.graph.nodes:
        operands = tuple(names[operand] for operand in node.inputs)
        if node.op == MIXED:
            candidate = node.candidates[next(remaining)]
            choices |= dict(candidate.choices)
            names[node.name] = _copy(wiring, candidate.graph, operands)
        else:
            names[node.name] = wiring.add(Node(node.name, node.op, operands, node.type, node.attributes))
    return Network(space.name, wiring.build(names[space.graph.output]), choices)  # type: ignore[arg-type]


def _copy(wiring: Wiring, graph: Graph, operands: Sequence[str]) -> str:
    names = dict(zip([node.name for node in graph.inputs], operands, strict=True))
    for node in graph.nodes:
        if node.op != INPUT:
            inputs = tuple(names[operand] for operand in node.inputs)
            names[node.name] = wiring.add(Node(node.name, node.op, inputs, node.type, node.attributes))
    return names[graph.output]
