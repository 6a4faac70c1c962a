"""The size of a space, exactly, and sampling that is uniform over its networks.

A space is a set of *items*: decisions, and select nodes that bring in more items when their selector is
known. Independent items are split apart and multiplied; dependent ones are resolved by branching on one
decision and summing; equal sub-problems are counted once. Nothing is enumerated that can be multiplied,
so a space of 10^17 networks is counted in milliseconds.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from compiler.ir.expression import Literal, choices_of, evaluate
from compiler.ir.graph import MIXED, Decision, Graph, Node, SpaceGraph

Choices = dict[str, Literal]

BRANCH_CAP = 20_000
"""Sub-problems that counting may meet before it gives up: bounds what a hostile space can cost."""


class TooEntangled(ValueError):
    """The decisions of a space depend on each other too much to count it."""


@dataclass(frozen=True)
class _Items:
    """Decisions that exist here and selects that are not resolved yet."""

    decisions: tuple[Decision, ...]
    selects: tuple[Node, ...]

    @cached_property
    def key(self) -> tuple[object, ...]:
        return tuple(decision.path for decision in self.decisions), tuple(node.name for node in self.selects)


@dataclass
class Counter:
    """Counts and samples one space; sub-problems are shared between calls."""

    space: SpaceGraph
    _sizes: dict[object, int] = field(default_factory=dict)
    _reads: dict[str, frozenset[str]] = field(default_factory=dict)

    def size(self) -> int:
        """The number of distinct assignments of existing decisions."""
        return self._size(self._root(), {})

    def sample(self, stream: random.Random) -> Choices:
        """One assignment, drawn uniformly over all of them."""
        choices: Choices = {}
        self._draw(self._root(), {}, choices, stream)
        return choices

    def iterate(self) -> Iterator[Choices]:
        """Every assignment, in a stable order: the first decision of the file varies slowest."""
        return self._each([self._root()], {})

    def _root(self) -> _Items:
        if any(node.op == MIXED for node in self.space.graph.nodes):
            raise ValueError(
                f"{self.space.name} is flattened: count and sample the space that it was made from"
            )
        return _items([self.space.graph])

    def _size(self, items: _Items, known: Mapping[str, Literal]) -> int:
        total = 1
        for part in self._parts(items, known):
            total *= self._part_size(part, known)
        return total

    def _part_size(self, part: _Items, known: Mapping[str, Literal]) -> int:
        if not part.selects:
            return len(part.decisions[0].options)
        relevant = {path: known[path] for path in sorted(self._read_by(part)) if path in known}
        key = (part.key, tuple(relevant.items()))
        if key not in self._sizes:
            if len(self._sizes) >= BRANCH_CAP:
                raise TooEntangled("the decisions of this space depend on each other too much to count it")
            self._sizes[key] = sum(self._size(*branch) for _, branch in self._branches(part, known))
        return self._sizes[key]

    def _branches(
        self, part: _Items, known: Mapping[str, Literal]
    ) -> Iterator[tuple[Literal, tuple[_Items, dict[str, Literal]]]]:
        """The options of one decision of `part`, each with what is left once it is made."""
        pivot = self._pivot(part)
        for option in pivot.options:
            assigned = {**known, pivot.path: option}
            rest = tuple(decision for decision in part.decisions if decision.path != pivot.path)
            yield option, (_resolve(_Items(rest, part.selects), assigned), assigned)

    def _pivot(self, part: _Items) -> Decision:
        wanted = choices_of(*[node.selector for node in part.selects])
        return next(decision for decision in part.decisions if decision.path in wanted)

    def _read_by(self, part: _Items) -> frozenset[str]:
        return frozenset().union(*[self._reading(node) for node in part.selects])

    def _reading(self, node: Node) -> frozenset[str]:
        """The decisions that selectors in and below a select read."""
        if node.name not in self._reads:
            below = [inner for c in node.candidates for inner in c.graph.nodes if inner.candidates]
            own = frozenset(choices_of(node.selector))
            self._reads[node.name] = own.union(*[self._reading(inner) for inner in below])
        return self._reads[node.name]

    def _parts(self, items: _Items, known: Mapping[str, Literal]) -> list[_Items]:
        """`items` split where no selector reads across, in the order of the file."""
        group = {decision.path: index for index, decision in enumerate(items.decisions)}
        owner: dict[str, int] = {}
        for node in items.selects:
            touched = {group[path] for path in self._reading(node) if path in group}
            owner[node.name] = target = min(touched)
            group.update({path: target for path, index in group.items() if index in touched})
            owner.update({name: target for name, index in owner.items() if index in touched})
        parts: dict[int, tuple[list[Decision], list[Node]]] = {}
        for decision in items.decisions:
            parts.setdefault(group[decision.path], ([], []))[0].append(decision)
        for node in items.selects:
            parts[owner[node.name]][1].append(node)
        return [_Items(tuple(decisions), tuple(selects)) for decisions, selects in parts.values()]

    def _draw(
        self, items: _Items, known: Mapping[str, Literal], into: Choices, stream: random.Random
    ) -> None:
        for part in self._parts(items, known):
            if not part.selects:
                into[part.decisions[0].path] = stream.choice(part.decisions[0].options)
                continue
            branches = list(self._branches(part, known))
            ticket = stream.randrange(self._part_size(part, known))
            for option, branch in branches:
                size = self._size(*branch)
                if ticket < size:
                    into[self._pivot(part).path] = option
                    self._draw(*branch, into, stream)
                    break
                ticket -= size

    def _each(self, queue: Sequence[_Items], known: dict[str, Literal]) -> Iterator[Choices]:
        parts = [part for items in queue for part in self._parts(items, known)]
        if not parts:
            yield dict(known)
            return
        first, rest = parts[0], parts[1:]
        if first.selects:
            for _, (left, assigned) in self._branches(first, known):
                yield from self._each([left, *rest], assigned)
        else:
            for option in first.decisions[0].options:
                yield from self._each(rest, {**known, first.decisions[0].path: option})


def _items(graphs: Sequence[Graph]) -> _Items:
    decisions = tuple(decision for graph in graphs for decision in graph.decisions)
    selects = tuple(node for graph in graphs for node in graph.nodes if node.candidates)
    return _Items(decisions, selects)


def _resolve(items: _Items, known: Mapping[str, Literal]) -> _Items:
    """Replace the selects whose selector is known by what the candidate taken brings in."""
    decisions, waiting, left = list(items.decisions), list(items.selects), []
    while waiting:
        node = waiting.pop(0)
        if any(path not in known for path in choices_of(node.selector)):
            left.append(node)
            continue
        inner = _items([taken(node, known)])
        decisions.extend(inner.decisions)
        waiting.extend(inner.selects)
    return _Items(tuple(decisions), tuple(left))


def taken(node: Node, known: Mapping[str, Literal]) -> Graph:
    """The candidate graph that a select node is under `known`."""
    assert node.selector is not None
    key = evaluate(node.selector, known)
    return next(candidate.graph for candidate in node.candidates if candidate.key == key)
