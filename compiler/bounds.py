"""The least and the most that a part of a space costs, exactly, wherever it stands and before it is flattened.

A part is operators and selects, with the conditions under which it is reached. Items that share no decision
are summed; those that do are told apart by branching on one decision at a time, as `compiler.counting` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from compiler.cost import node_macs, node_params
from compiler.ir.expression import Literal, Value, ValueProblem, choices_of, evaluate
from compiler.ir.graph import INPUT, Graph, Node, taken
from compiler.ir.types import TensorType

WORK_CAP = 10_000
"""Items looked at before a cost is given up: about a quarter of a second."""


class TooMany(ValueError):
    """The decisions of a part depend on each other too much to tell its cost quickly."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The fewest and the most parameters and MACs of a part."""

    params: tuple[int, int] = (0, 0)
    macs: tuple[int, int] = (0, 0)

    def plus(self, other: Bounds) -> Bounds:
        """The bounds of two parts that depend on no decision together."""
        (a, b), (c, d) = self.params, other.params
        (e, f), (g, h) = self.macs, other.macs
        return Bounds((a + c, b + d), (e + g, f + h))

    def hull(self, other: Bounds) -> Bounds:
        """The bounds of a part that is the one or the other."""
        (a, b), (c, d) = self.params, other.params
        (e, f), (g, h) = self.macs, other.macs
        return Bounds((min(a, c), max(b, d)), (min(e, g), max(f, h)))


@dataclass(frozen=True)
class Item:
    """An operator or a select, with the types of its operands."""

    node: Node
    operands: tuple[TensorType, ...]

    @cached_property
    def choices(self) -> dict[str, tuple[Literal, ...]]:
        """The options of each decision that its cost depends on."""
        node = self.node
        sizes = [size for type_ in (*self.operands, node.type) for size in type_.dimensions]
        found = choices_of(*sizes, *[value for _, value in node.attributes], node.selector)
        options = {path: choice.options for path, choice in found.items()}
        for candidate in node.candidates:
            for inner in items_of(candidate.graph):
                options.update(inner.choices)
        return options


def items_of(graph: Graph) -> list[Item]:
    """What a graph is made of, its inputs aside."""
    return [
        Item(node, tuple(graph[operand].type for operand in node.inputs))
        for node in graph.nodes
        if node.op != INPUT
    ]


@dataclass(frozen=True)
class _Condition:
    """What holds where the part is reached."""

    value: Value

    @cached_property
    def choices(self) -> dict[str, tuple[Literal, ...]]:
        return {path: choice.options for path, choice in choices_of(self.value).items()}


_Part = Item | _Condition
_Known = Mapping[str, Literal]


def bounds(items: Iterable[Item], assuming: Sequence[Value] = ()) -> Bounds | None:
    """The bounds of items where all of `assuming` hold; None where they never do.

    Raises:
        TooMany: see there.
    """
    parts: list[_Part] = [*items, *[_Condition(value) for value in assuming if value is not True]]
    return _Bounding().of(parts, {})


@dataclass
class _Bounding:
    """One question; `work` counts what was looked at for it."""

    work: int = field(default=0)

    def of(self, parts: Sequence[_Part], known: _Known) -> Bounds | None:
        """The bounds of parts under the choices known, None where these contradict a condition."""
        total = Bounds()
        try:
            open_parts = []
            for part in self._resolved(parts, known):
                if any(path not in known for path in part.choices):
                    open_parts.append(part)
                elif isinstance(part, Item):
                    total = total.plus(_exactly(part, known))
                elif evaluate(part.value, known) is not True:
                    return None
        except ValueProblem:
            # Nothing has this value here, so that the choices known do not meet.
            return None
        for group in _groups(open_parts, known):
            found = self._branched(group, known)
            if found is None:
                return None
            total = total.plus(found)
        return total

    def _resolved(self, parts: Iterable[_Part], known: _Known) -> Iterator[_Part]:
        """The parts, with the candidates taken in place of each select that is decided."""
        for part in parts:
            self.work += 1
            if self.work > WORK_CAP:
                raise TooMany("the cost depends on too many decisions together")
            if isinstance(part, Item) and part.node.candidates and _is_decided(part.node, known):
                for graph in taken(part.node, known):
                    yield from self._resolved(items_of(graph), known)
            else:
                yield part

    def _branched(self, group: Sequence[_Part], known: _Known) -> Bounds | None:
        pivot, options = _pivot(group, known)
        found: Bounds | None = None
        for option in options:
            branch = self.of(group, {**known, pivot: option})
            if branch is not None:
                found = branch if found is None else found.hull(branch)
        return found


def _is_decided(node: Node, known: _Known) -> bool:
    return all(path in known for path in choices_of(node.selector))


def _exactly(item: Item, known: _Known) -> Bounds:
    attributes = tuple((name, evaluate(value, known)) for name, value in item.node.attributes)
    node = replace(item.node, type=item.node.type.under(known), attributes=attributes)
    operands = [type_.under(known).sizes for type_ in item.operands]
    params, macs = node_params(node, operands[0]), node_macs(node, operands)
    return Bounds((params, params), (macs, macs))


def _groups(parts: Sequence[_Part], known: _Known) -> list[list[_Part]]:
    """The parts, split where no decision is shared."""
    group_of: dict[str, dict[int, _Part]] = {}
    for index, part in enumerate(parts):
        paths = [path for path in part.choices if path not in known]
        touched = {id(group): group for path in paths if (group := group_of.get(path)) is not None}
        # The largest group takes the others in, so that none is copied often.
        joined, *others = sorted(touched.values(), key=len, reverse=True) or [{}]
        joined[index] = part
        for other in others:
            joined.update(other)
            paths += [path for each in other.values() for path in each.choices if path not in known]
        group_of.update(dict.fromkeys(paths, joined))
    return [list(group.values()) for group in {id(each): each for each in group_of.values()}.values()]


def _pivot(group: Sequence[_Part], known: _Known) -> tuple[str, tuple[Literal, ...]]:
    """The decision to branch on: what most selectors wait for, else what most parts read."""
    votes: dict[str, tuple[int, int]] = {}
    options: dict[str, tuple[Literal, ...]] = {}
    for part in group:
        waiting = choices_of(part.node.selector) if isinstance(part, Item) else {}
        for path, each in part.choices.items():
            if path not in known:
                selectors, readers = votes.get(path, (0, 0))
                votes[path] = (selectors + (path in waiting), readers + 1)
                options[path] = each
    pivot = max(votes, key=votes.__getitem__)
    return pivot, options[pivot]
