"""The graph: one node type over a NetworkX multigraph, in two stages.

A `SpaceGraph` still holds decisions; a `Network` holds none, and each of its nodes has a concrete type.
Both wrap a `Graph`. Graphs are values: they are built once by a `GraphBuilder` and never changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from typing import Literal as OneOf

from compiler.ir.expression import Assignment, Choice, Literal, Value, evaluate
from compiler.ir.types import TensorType
from dsl.source import Span

if TYPE_CHECKING:
    import networkx as nx

INPUT = "input"
"""The op of a value that enters a graph."""
SELECT = "select"
"""The op of a node that is one of its candidates, chosen by a selector over decisions.

With an attribute `merge` (`add`, `concat`, `mul`) the selector gives a set of keys, and the node is the merge
of the candidates that are in it, in their order.
"""
MIXED = "mixed"
"""The op of a flattened select: each candidate stands for choices of all the decisions below it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Something to be chosen, by its path in the file's words.

    It exists where a graph that declares it is reached and `condition` holds there. A tied decision is
    declared by each graph that has an instance of its block, and is made once for all of them.
    """

    path: str
    options: tuple[Literal, ...]
    kind: OneOf["value", "path"]
    span: Span | None = field(default=None, compare=False)
    condition: Value = True

    @property
    def choice(self) -> Choice:
        """The decision as an expression."""
        return Choice(self.path, self.options)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One path of a select or mixed node.

    `key` is what the selector must evaluate to, or contain; `choices` are, in a mixed node, the choices that the
    candidate stands for. The graph's inputs are the node's inputs, in order.
    """

    key: Literal
    graph: Graph
    choices: tuple[tuple[str, Literal], ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a graph and what computes it. `unit` names the decision unit it belongs to, "" if none."""

    name: str
    op: str
    inputs: tuple[str, ...]
    type: TensorType
    attributes: tuple[tuple[str, Value], ...] = ()
    selector: Value | None = None
    candidates: tuple[Candidate, ...] = ()
    unit: str = ""
    span: Span | None = field(default=None, compare=False)

    @property
    def settings(self) -> Mapping[str, Value]:
        """The attributes by name."""
        return dict(self.attributes)


class Graph:
    """Nodes in topological order, one output, and the decisions made where this graph is reached.

    `nodes` keeps the order in which they were added, which is topological and stable: the canonical
    order of everything that is printed, counted or scheduled.
    """

    def __init__(self, nodes: tuple[Node, ...], output: str, decisions: tuple[Decision, ...] = ()) -> None:
        self.nodes = nodes
        self.output = output
        self.decisions = decisions
        self._by_name = {node.name: node for node in nodes}

    @cached_property
    def multigraph(self) -> nx.MultiDiGraph:
        """The NetworkX graph, for its algorithms; edges carry the operand's `port`. Not to be changed.

        It is made when it is first asked for: checking a file needs no algorithm, and starts faster
        without the import.
        """
        import networkx

        graph = networkx.MultiDiGraph()
        for node in self.nodes:
            graph.add_node(node.name, node=node)
            for port, operand in enumerate(node.inputs):
                graph.add_edge(operand, node.name, port=port)
        return graph

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The values that enter, in order."""
        return tuple(node for node in self.nodes if node.op == INPUT)

    @property
    def type(self) -> TensorType:
        """The type of the output."""
        return self[self.output].type

    def readers(self, name: str) -> tuple[str, ...]:
        """The nodes that read a value, each once, in order."""
        return tuple(dict.fromkeys(reader for _, reader in self.multigraph.out_edges(name)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        mine, theirs = (self.nodes, self.output, self.decisions), (other.nodes, other.output, other.decisions)
        return mine == theirs

    def __hash__(self) -> int:
        return hash((self.nodes, self.output, self.decisions))


class GraphBuilder:
    """Collects the nodes of one graph, in order."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._decisions: dict[Decision, None] = {}

    def add(self, node: Node) -> str:
        """Add a node; its operands must stand already. Returns its name."""
        missing = [operand for operand in node.inputs if operand not in self._nodes]
        if missing or node.name in self._nodes:
            raise ValueError(f"{node.name}: operands {missing} are missing, or the name is taken")
        self._nodes[node.name] = node
        return node.name

    def declare(self, decision: Decision) -> None:
        """Record a decision that is made where this graph is reached; once, however often it is said."""
        self._decisions.setdefault(decision)

    @property
    def decided(self) -> int:
        """How many decisions were declared so far."""
        return len(self._decisions)

    def __len__(self) -> int:
        """How many nodes were added so far."""
        return len(self._nodes)

    def since(self, count: int) -> tuple[Node, ...]:
        """The nodes added after the first `count`, in order."""
        added = itertools.islice(reversed(self._nodes.values()), len(self._nodes) - count)
        return tuple(added)[::-1]

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    def build(self, output: str) -> Graph:
        """The graph, without the values that nothing reads (inputs stay)."""
        live = {output}
        for node in reversed(self._nodes.values()):
            if node.name in live:
                live.update(node.inputs)
        kept = tuple(n for n in self._nodes.values() if n.name in live or n.op == INPUT)
        return Graph(kept, output, tuple(self._decisions))


@dataclass(frozen=True)
class Limit:
    """`require metric <= bound [on target]`, in the metric's own unit (count, bytes, milliseconds)."""

    metric: OneOf["macs", "params", "peak_memory", "latency"]
    comparison: OneOf["<=", ">="]
    bound: Value
    target: str | None = None


@dataclass(frozen=True)
class SpaceGraph:
    """A search space: a graph in which decisions are left."""

    name: str
    graph: Graph
    limits: tuple[Limit, ...] = ()

    def walk(self) -> Iterator[tuple[Graph, Node]]:
        """Every node of every graph in it, with its graph, outermost first."""
        yield from walk(self.graph)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Every decision of the space, in the order of the file, whether or not it is always reached."""
        return decisions_of(self.graph)


@dataclass(frozen=True)
class Network:
    """A network with no decision left, and the choices that made it."""

    name: str
    graph: Graph
    choices: Assignment = field(default_factory=dict)


def walk(graph: Graph) -> Iterator[tuple[Graph, Node]]:
    """Every node of `graph` and of the graphs in it."""
    for node in graph.nodes:
        yield graph, node
        for candidate in node.candidates:
            yield from walk(candidate.graph)


def declarations(graph: Graph) -> Iterator[Decision]:
    """The decisions that `graph` declares, then those in its candidates; a tied one as often as it is declared."""
    yield from graph.decisions
    for node in graph.nodes:
        for candidate in node.candidates:
            yield from declarations(candidate.graph)


def decisions_of(graph: Graph) -> tuple[Decision, ...]:
    """The decisions in `graph` and in its candidates, each once, in the order of the file."""
    found: dict[str, Decision] = {}
    for decision in declarations(graph):
        found.setdefault(decision.path, decision)
    return tuple(found.values())


def taken(node: Node, known: Assignment) -> tuple[Graph, ...]:
    """The candidates that a select node stands for under `known`: one, or those that it merges.

    Raises:
        KeyError: the selector reads a decision that is not known yet.
    """
    assert node.selector is not None
    chosen = evaluate(node.selector, known)
    keys = chosen if isinstance(chosen, tuple) else (chosen,)
    return tuple(candidate.graph for candidate in node.candidates if candidate.key in keys)
