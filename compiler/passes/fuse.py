"""Group a network into kernels: an operator with the elementwise operators that follow it.

An elementwise operator joins the kernel of its latest operand of its own type where nothing else reads that
operand and both belong to the same decision unit; the kernel then takes the operator's place in the order,
where all its other operands stand. Groups never cross a decision, so what the latency table prices for a candidate
is what the bundle runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.ir.expression import Scalar, is_symbolic
from compiler.ir.graph import INPUT, MIXED, Graph, Network, Node
from compiler.ir.ops import OPERATORS
from compiler.ir.types import Dimensions
from compiler.kernel import Kernel, Step
from compiler.passes.fold import FOLDED

FREE = ("identity", "dropout")
"""Operators that do nothing when a network is run; their readers read their operand."""


@dataclass(frozen=True)
class KernelCall:
    """One kernel of a network: the values it reads, one per input of the kernel, and the one it writes.

    `nodes` names the network's node behind each step; its weights are the parameters `<node>.weight`,
    `<node>.bias`. `unit` is the decision unit it belongs to, "" if none.
    """

    kernel: Kernel
    inputs: tuple[str, ...]
    output: str
    nodes: tuple[str, ...]
    unit: str


@dataclass(frozen=True)
class Plan:
    """A network as kernels over named values, in the order they run; dimensions as the language has them."""

    inputs: tuple[str, ...]
    calls: tuple[KernelCall, ...]
    output: str
    types: Mapping[str, Dimensions]

    @property
    def kernels(self) -> dict[str, Kernel]:
        """The distinct kernels, by signature."""
        return {call.kernel.signature: call.kernel for call in self.calls}


@dataclass
class _Group:
    unit: str
    nodes: list[Node] = field(default_factory=list)


def fuse(network: Network) -> Plan:
    """The kernels of a network without batch norm.

    Raises:
        ValueError: an operator must be folded or derived away first.
    """
    return fuse_graph(network.graph)


def fuse_graph(graph: Graph) -> Plan:
    """The kernels of one graph; what enters it, and what its mixed nodes give, is computed elsewhere."""
    alias = _aliases(graph)
    readers = _reader_counts(graph, alias)
    groups: dict[str, _Group] = {}
    position = {node.name: index for index, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if node.op in (INPUT, MIXED) or node.op in FREE:
            continue
        if node.op not in OPERATORS or node.op in FOLDED:
            raise ValueError(f"{node.name}: `{node.op}` cannot be in a kernel; fold or derive it first")
        operands = [alias[operand] for operand in node.inputs]
        joined = _joinable(graph, node, operands, readers, groups, position)
        group = groups.pop(joined) if joined else _Group(node.unit)
        group.nodes.append(node)
        groups[node.name] = group
    calls = tuple(_call(graph, group, alias) for group in groups.values())
    inputs = tuple(node.name for node in graph.inputs)
    types = {name: graph[name].type.sizes for name in [*inputs, *[call.output for call in calls]]}
    return Plan(inputs, calls, alias[graph.output], types)


def _aliases(graph: Graph) -> dict[str, str]:
    alias: dict[str, str] = {}
    for node in graph.nodes:
        alias[node.name] = alias[node.inputs[0]] if node.op in FREE else node.name
    return alias


def _reader_counts(graph: Graph, alias: Mapping[str, str]) -> dict[str, int]:
    counts = dict.fromkeys(alias.values(), 0)
    for node in graph.nodes:
        if node.op not in FREE:
            for operand in {alias[operand] for operand in node.inputs}:
                counts[operand] += 1
    counts[alias[graph.output]] += 1
    return counts


def _joinable(
    graph: Graph,
    node: Node,
    operands: list[str],
    readers: Mapping[str, int],
    groups: Mapping[str, _Group],
    position: Mapping[str, int],
) -> str | None:
    if not OPERATORS[node.op].elementwise:
        return None
    fitting = [
        operand
        for operand in operands
        if operand in groups
        and readers[operand] == 1
        and groups[operand].unit == node.unit
        and graph[operand].type == node.type
    ]
    return max(fitting, key=position.__getitem__, default=None)


def _call(graph: Graph, group: _Group, alias: Mapping[str, str]) -> KernelCall:
    inside = {node.name for node in group.nodes}
    read = [alias[operand] for node in group.nodes for operand in node.inputs]
    inputs = tuple(dict.fromkeys(operand for operand in read if operand not in inside))
    index = {name: place for place, name in enumerate([*inputs, *[node.name for node in group.nodes]])}
    steps = tuple(
        Step(node.op, _literals(node), tuple(index[alias[operand]] for operand in node.inputs))
        for node in group.nodes
    )
    kernel = Kernel(tuple(graph[name].type.sizes for name in inputs), steps)
    return KernelCall(kernel, inputs, group.nodes[-1].name, tuple(n.name for n in group.nodes), group.unit)


def _literals(node: Node) -> tuple[tuple[str, Scalar], ...]:
    if any(is_symbolic(value) for _, value in node.attributes):
        raise ValueError(f"{node.name}: its attributes depend on a decision; derive the network first")
    return node.attributes  # type: ignore[return-value]
