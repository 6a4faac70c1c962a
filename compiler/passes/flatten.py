"""Flatten decisions into mixed nodes: one node for each group of decisions that must be made together.

What depends on a decision — a select, an attribute, a type — belongs to its *region*. A region is grown
until it is convex and has one result of a concrete type; decisions that share an operator share a region. Places
that depend on the very same decisions, as the instances of a tied block do, keep regions of their own, so that
each becomes a mixed node: their candidates stand for the same choices, and are chosen together.
Then the elementwise operators that follow move in: the activation, the batch norm, the residual's `add`.
Each joint choice of a region's decisions becomes one candidate, a concrete graph, so that nothing outside
depends on any decision, a candidate is priced with what follows it, and a skip is a plain wire.

The architecture's words stay those of the file: a candidate lists the choices it stands for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile

import networkx as nx

from compiler.counting import Choices, Counter
from compiler.derive import derive_graph
from compiler.ir.expression import choices_of, show
from compiler.ir.graph import (
    INPUT,
    MIXED,
    Candidate,
    Decision,
    Graph,
    GraphBuilder,
    Node,
    SpaceGraph,
    decisions_of,
    declarations,
)
from compiler.ir.ops import OPERATORS

CANDIDATES_CAP = 512
"""The most candidates of one mixed node."""


class CannotFlatten(ValueError):
    """Decisions that depend on each other across so much of the network that no mixed op holds them."""


@dataclass
class _Region:
    """Nodes that depend on the same decisions."""

    nodes: set[str]
    decisions: set[str]


def flatten(space: SpaceGraph) -> SpaceGraph:
    """The space with every decision in a mixed node; decisions without effect stay where they are declared,
    unless they depend on others.

    Raises:
        CannotFlatten: a group of decisions has more joint choices than a mixed op may have candidates.
    """
    graph = space.graph
    regions = _regions(graph)
    exits = {_exits(graph, region.nodes)[0]: region for region in regions}
    inside = {name for region in regions for name in region.nodes}
    used = {path for region in regions for path in region.decisions}
    builder = GraphBuilder()
    names = {node.name: node.name for node in graph.nodes}
    taken = set(names) - inside
    for node in graph.nodes:
        if node.name in exits:
            mixed = _mixed(graph, node, exits[node.name], taken)
            names[node.name] = builder.add(_renamed(mixed, names))
            taken.add(mixed.name)
        elif node.name not in inside:
            builder.add(_renamed(node, names))
    for decision in graph.decisions:
        # What a condition reads is inside a mixed op now.
        if decision.path not in used and decision.condition is True:
            builder.declare(decision)
    return replace(space, graph=builder.build(names[graph.output]))


def count_mixed_ops(space: SpaceGraph) -> int:
    """How many mixed nodes `flatten` makes, without making them.

    Raises:
        CannotFlatten: see `flatten`.
    """
    regions = _regions(space.graph)
    for region in regions:
        _counter(_region_graph(space.graph, region), region)
    return len(regions)


def _regions(graph: Graph) -> list[_Region]:
    return _absorb(graph, _grow(graph, _seeds(graph)))


def mixed_nodes(space: SpaceGraph) -> tuple[Node, ...]:
    """The mixed nodes of a flattened space, in order."""
    return tuple(node for node in space.graph.nodes if node.op == MIXED)


def _decisions_at(graph: Graph, node: Node) -> set[str]:
    """The decisions that a node, its type or the types of its operands depend on."""
    types = [node.type, *[graph[operand].type for operand in node.inputs]]
    sizes = [size for type_ in types for size in type_.dimensions]
    found = set(choices_of(*node.settings.values(), node.selector, *sizes))
    for candidate in node.candidates:
        found.update(decision.path for decision in decisions_of(candidate.graph))
        for inner in candidate.graph.nodes:
            found |= _decisions_at(candidate.graph, inner)
    return found


def _seeds(graph: Graph) -> list[_Region]:
    """The nodes that depend on decisions; those that a value of an open type joins are one region from the start."""
    regions: list[_Region] = []
    conditions: dict[str, set[str]] = {}
    for each in declarations(graph):
        conditions.setdefault(each.path, set()).update(choices_of(each.condition))
    for node in graph.nodes:
        decisions = _with_conditions(_decisions_at(graph, node), conditions)
        if decisions and node.op != INPUT:
            region = _Region({node.name}, decisions)
            for before in [each for each in regions if _joined(graph, each, region)]:
                regions.remove(before)
                region = _Region(before.nodes | region.nodes, before.decisions | region.decisions)
            regions.append(region)
    return _merged(graph, regions)


def _with_conditions(decisions: set[str], conditions: Mapping[str, set[str]]) -> set[str]:
    """The decisions, and those that their conditions read."""
    found, new = set(decisions), decisions
    while new:
        new = {path for each in new for path in conditions.get(each, ())} - found
        found |= new
    return found


def _merged(graph: Graph, regions: list[_Region]) -> list[_Region]:
    """Regions that meet are one; they stand in the order they were met."""
    result: list[_Region] = []
    for region in regions:
        for other in [other for other in result if _meet(graph, other, region)]:
            result.remove(other)
            region = _Region(other.nodes | region.nodes, other.decisions | region.decisions)
        result.append(region)
    return result


def _meet(graph: Graph, one: _Region, other: _Region) -> bool:
    """Whether two regions share a node, some but not all of their decisions, or a value whose type is open."""
    if one.nodes & other.nodes:
        return True
    if not one.decisions & other.decisions:
        return False
    return one.decisions != other.decisions or _joined(graph, one, other) or _joined(graph, other, one)


def _joined(graph: Graph, before: _Region, after: _Region) -> bool:
    """Whether a value of one region whose type depends on a decision is read in the other."""
    read = (operand for name in after.nodes for operand in graph[name].inputs)
    return any(operand in before.nodes and not graph[operand].type.is_concrete for operand in read)


def _grow(graph: Graph, regions: list[_Region]) -> list[_Region]:
    """Grow each region until it is convex and has a single exit, merging those that meet."""
    while True:
        grown = _merged(graph, [_Region(_closed(graph, r.nodes), set(r.decisions)) for r in regions])
        if grown == regions:
            return regions
        regions = grown


def _closed(graph: Graph, nodes: set[str]) -> set[str]:
    """The nodes and all between them; where more than one leaves, their readers too."""
    multigraph = graph.multigraph
    below = set().union(*[nx.descendants(multigraph, name) for name in nodes])
    above = set().union(*[nx.ancestors(multigraph, name) for name in nodes])
    closed = nodes | (below & above)
    exits = _exits(graph, closed)
    return closed if len(exits) == 1 else closed.union(*[graph.readers(name) for name in exits])


def _exits(graph: Graph, nodes: set[str]) -> list[str]:
    """The nodes whose value is read outside, in order."""
    leaving = [n for n in nodes if n == graph.output or any(r not in nodes for r in graph.readers(n))]
    order = {node.name: index for index, node in enumerate(graph.nodes)}
    return sorted(leaving, key=order.__getitem__)


def _absorb(graph: Graph, regions: list[_Region]) -> list[_Region]:
    """Move the elementwise operators that follow a region into it, the latest region where there are two."""
    owner = {_exits(graph, region.nodes)[-1]: region for region in regions}
    inside = {name for region in regions for name in region.nodes}
    for node in graph.nodes:
        if node.op not in OPERATORS or not OPERATORS[node.op].elementwise or node.name in inside:
            continue
        leading = [o for o in node.inputs if o in owner and graph.readers(o) == (node.name,)]
        if leading:
            last = max(leading, key=[each.name for each in graph.nodes].index)
            region = owner.pop(last)
            region.nodes.add(node.name)
            owner[node.name] = region
    return regions


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    return replace(node, inputs=tuple(names[operand] for operand in node.inputs))


def _mixed(graph: Graph, exit_: Node, region: _Region, taken: set[str]) -> Node:
    """The mixed node of a region, named for the place that its decisions have in common."""
    inside = _region_graph(graph, region)
    inputs = tuple(node.name for node in inside.inputs)
    name = _unique(_region_name(region), taken)
    return Node(
        name, MIXED, inputs, exit_.type, (), None, tuple(_candidates(inside, region)), span=exit_.span
    )


def _region_graph(graph: Graph, region: _Region) -> Graph:
    """The graph of a region: what enters it are its inputs, its one exit is its output."""
    (output,) = _exits(graph, region.nodes)
    inner = [node for node in graph.nodes if node.name in region.nodes]
    entering = dict.fromkeys(o for node in inner for o in node.inputs if o not in region.nodes)
    inputs = [Node(name, INPUT, (), graph[name].type) for name in entering]
    decisions = tuple(d for d in graph.decisions if d.path in region.decisions)
    return Graph((*inputs, *inner), output, decisions)


def _candidates(graph: Graph, region: _Region) -> Iterator[Candidate]:
    drawn = list(_counter(graph, region).iterate())
    for choices, label in zip(drawn, labels(drawn, decisions_of(graph)), strict=True):
        yield Candidate(label, derive_graph(graph, choices), tuple(choices.items()))


def _counter(graph: Graph, region: _Region) -> Counter:
    """Of the joint choices of a region.

    Raises:
        CannotFlatten: there are too many.
    """
    counter = Counter(SpaceGraph("", graph))
    size = counter.size()
    if size > CANDIDATES_CAP:
        some = ", ".join(sorted(region.decisions)[:4])
        raise CannotFlatten(
            f"{size:,} joint choices of {len(region.decisions)} decisions ({some}, …) depend on each "
            f"other, more than the {CANDIDATES_CAP} candidates that a mixed op may have"
        )
    return counter


def labels(drawn: list[Choices], decisions: tuple[Decision, ...]) -> list[str]:
    """A readable label for each joint choice: labels of paths, then `name=value`; unique."""
    paths = [decision.path for decision in decisions]
    prefix = _common_prefix([path.split(".") for path in paths])
    kinds = {decision.path: decision.kind for decision in decisions}
    names = {path: ".".join(path.split(".")[len(prefix) :]) or path for path in paths}
    last = {path: path.rpartition(".")[2] for path in paths}
    if len(set(last.values())) == len(paths):
        names = last
    return [_label(choices, kinds, names) for choices in drawn]


def _label(choices: Choices, kinds: Mapping[str, str], names: Mapping[str, str]) -> str:
    single = sum(kind == "path" for kind in kinds.values()) == 1
    words = [
        show(choice) if kinds[path] == "path" and single else f"{names[path]}={show(choice)}"
        for path, choice in choices.items()
    ]
    return " ".join(sorted(words, key=lambda word: "=" in word))


def _region_name(region: _Region) -> str:
    """The place that the region's decisions have in common, in the file's words."""
    parents = [path.split(".")[:-1] for path in sorted(region.decisions)]
    return ".".join(_common_prefix(parents)) or min(region.decisions)


def _unique(name: str, taken: set[str]) -> str:
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name}{number}"
    return unique


def _common_prefix(paths: list[list[str]]) -> list[str]:
    """The places that all paths start with."""
    same = takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False))
    return [names[0] for names in same]
