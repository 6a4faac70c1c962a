"""The size of a space, exactly, and sampling that is uniform over its networks.

A space is a set of *items*: decisions, and select nodes that bring in more items when their selector is
known. Independent items are split apart and multiplied; dependent ones are resolved by branching on one
decision and summing; equal sub-problems are counted once. Nothing is enumerated that can be multiplied,
so a space of 10^17 networks is counted in milliseconds.

A tied decision is declared by several graphs: it is an item as soon as one of them is reached, and once. So
selects that may bring in the same decision depend on each other. A decision with a condition waits for it
like a select does.
"""

from __future__ import annotations

import random
from collections import Counter as Tally
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

from compiler.ir.expression import Literal, choices_of
from compiler.ir.graph import MIXED, Decision, Graph, Node, SpaceGraph, declarations, taken
from compiler.skeleton import Skeletons

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
        decisions = sorted(decision.path for decision in self.decisions)
        return tuple(decisions), tuple(sorted(node.name for node in self.selects))


def count_with(space: SpaceGraph, choices: Mapping[str, Literal]) -> int:
    """How many networks have all of these choices: those without one of them, added and taken away by turns."""
    options = {decision.path: decision.options for decision in space.decisions}
    total = 0
    for number in range(len(choices) + 1):
        for paths in combinations(choices, number):
            others = {p: tuple(o for o in options[p] if o != choices[p]) for p in paths}
            total += (-1) ** number * Counter(space, allowed=others).size()
    return total


@dataclass
class Counter:
    """Counts and samples one space; sub-problems are shared between calls.

    `allowed` narrows the space to the networks in which these decisions, where they exist, have one of these choices.
    """

    space: SpaceGraph
    allowed: Mapping[str, tuple[Literal, ...]] = field(default_factory=dict)
    _sizes: dict[object, int] = field(default_factory=dict)
    _touched: dict[str, frozenset[str]] = field(default_factory=dict)

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
        return self._each(self._root())

    def _root(self) -> _Items:
        if any(node.op == MIXED for node in self.space.graph.nodes):
            raise ValueError(
                f"{self.space.name} is flattened: count and sample the space that it was made from"
            )
        return _resolve(_Items((), ()), [self._skeleton], {})

    @cached_property
    def _skeleton(self) -> Graph:
        return Skeletons().of(self.space.graph)

    @cached_property
    def _shared(self) -> frozenset[str]:
        """The decisions that more than one graph declares."""
        tally = Tally(decision.path for decision in declarations(self._skeleton))
        return frozenset(path for path, number in tally.items() if number > 1)

    def _options(self, decision: Decision) -> tuple[Literal, ...]:
        return self.allowed.get(decision.path, decision.options)

    def _size(self, items: _Items, known: Mapping[str, Literal]) -> int:
        total = 1
        for part in self._parts(items, known):
            total *= self._part_size(part, known)
        return total

    def _part_size(self, part: _Items, known: Mapping[str, Literal]) -> int:
        if not part.selects:
            return len(self._options(part.decisions[0]))
        touched = frozenset().union(*[self._touches(node) for node in part.selects])
        relevant = {path: known[path] for path in sorted(touched) if path in known}
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
        pivot = _pivot(part)
        rest = tuple(decision for decision in part.decisions if decision is not pivot)
        for option in self._options(pivot):
            assigned = {**known, pivot.path: option}
            yield option, (_resolve(_Items(rest, part.selects), [], assigned), assigned)

    def _touches(self, node: Node) -> frozenset[str]:
        """The decisions that tie a select to others: read by selectors in and below it, or declared elsewhere, too."""
        if node.name not in self._touched:
            touched = set(choices_of(node.selector))
            for candidate in node.candidates:
                touched.update(d.path for d in candidate.graph.decisions if d.path in self._shared)
                for inner in candidate.graph.nodes:
                    touched |= self._touches(inner)
            self._touched[node.name] = frozenset(touched)
        return self._touched[node.name]

    def _parts(self, items: _Items, known: Mapping[str, Literal]) -> list[_Items]:
        """`items` split where nothing ties them, in the order of the file."""
        groups = _Groups()
        for node in items.selects:
            groups.join([path for path in self._touches(node) if path not in known])
        parts: dict[str, tuple[list[Decision], list[Node]]] = {}
        for decision in items.decisions:
            parts.setdefault(groups.of(decision.path), ([], []))[0].append(decision)
        for node in items.selects:
            anchor = next(path for path in choices_of(node.selector) if path not in known)
            parts.setdefault(groups.of(anchor), ([], []))[1].append(node)
        return [_Items(tuple(decisions), tuple(selects)) for decisions, selects in parts.values()]

    def _draw(
        self, items: _Items, known: Mapping[str, Literal], into: Choices, stream: random.Random
    ) -> None:
        for part in self._parts(items, known):
            if not part.selects:
                into[part.decisions[0].path] = stream.choice(self._options(part.decisions[0]))
                continue
            ticket = stream.randrange(self._part_size(part, known))
            for option, branch in self._branches(part, known):
                size = self._size(*branch)
                if ticket < size:
                    into[_pivot(part).path] = option
                    self._draw(*branch, into, stream)
                    break
                ticket -= size

    def _each(self, items: _Items) -> Iterator[Choices]:
        """Every assignment, part by part, as an odometer whose last digit is the fastest."""
        waiting = [_State(self._parts(items, {}), {})]
        while waiting:
            parts, known = waiting.pop()
            if not parts:
                yield known
                continue
            first, *rest = parts
            if first.selects:
                branches = [
                    (self._parts(*branch) + rest, branch[1]) for _, branch in self._branches(first, known)
                ]
            else:
                (decision,) = first.decisions
                branches = [(rest, {**known, decision.path: each}) for each in self._options(decision)]
            waiting.extend(_State(*branch) for branch in reversed(branches))


class _State(NamedTuple):
    """An assignment begun: what is left to decide, and what is decided."""

    parts: list[_Items]
    known: dict[str, Literal]


class _Groups:
    """Disjoint sets of decisions, by path."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def of(self, path: str) -> str:
        """The path that stands for a path's set."""
        while (parent := self._parents.get(path, path)) != path:
            self._parents[path] = self._parents.get(parent, parent)
            path = parent
        return path

    def join(self, paths: Sequence[str]) -> None:
        """Make the sets of these paths one."""
        for path in paths[1:]:
            self._parents[self.of(path)] = self.of(paths[0])


def _pivot(part: _Items) -> Decision:
    wanted = choices_of(*[node.selector for node in part.selects])
    return next(decision for decision in part.decisions if decision.path in wanted)


def _resolve(items: _Items, reached: Sequence[Graph], known: Mapping[str, Literal]) -> _Items:
    """Items with what `reached` graphs bring in, and every select whose selector is known by what it brings in."""
    decisions = {decision.path: decision for decision in items.decisions}
    left: dict[str, Node] = {}
    queue: deque[Graph | Node] = deque([*reached, *items.selects])
    while queue:
        each = queue.popleft()
        if isinstance(each, Graph):
            found = [d for d in each.decisions if d.path not in known]
            decisions.update({d.path: d for d in found if d.path not in decisions})
            queue.extend(each.nodes)
            continue
        graphs = _taken(each, known)
        if graphs is None:
            left[each.name] = each
        else:
            queue.extend(graphs)
    return _Items(tuple(decisions.values()), tuple(left.values()))


def _taken(node: Node, known: Mapping[str, Literal]) -> tuple[Graph, ...] | None:
    """The candidates that a select stands for; None while its selector is not known."""
    try:
        return taken(node, known)
    except KeyError:
        return None
