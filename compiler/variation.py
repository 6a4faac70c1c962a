"""Architectures made from others: neighbours, mutation, crossover.

A decision that comes to exist by a change is not decided by it: `neighbours` meets every way to decide it, the
random verbs draw it. Choices of decisions that cease to exist are dropped.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from compiler.architecture import Architecture, every
from compiler.counting import Counter
from compiler.ir.expression import Literal
from compiler.ir.graph import Decision, SpaceGraph
from compiler.reach import reach


def neighbours(space: SpaceGraph, architecture: Architecture) -> Iterator[Architecture]:
    """Every architecture that differs in one decision that both have, in a stable order.

    Two are neighbours of each other, or neither is. There may be very many where a choice brings in decisions.
    """
    for decision in space.decisions:
        choice = architecture.choices.get(decision.path)
        if choice is None:
            continue
        for option in decision.options:
            if option != choice:
                kept = {**architecture.choices, decision.path: option}
                yield from every(Counter(space, {path: (choice,) for path, choice in kept.items()}))


def mutate(
    space: SpaceGraph, architecture: Architecture, stream: random.Random, rate: float = 0.1
) -> Architecture:
    """The architecture with each decision changed with probability `rate`, at least one; options are drawn evenly.

    Raises:
        ValueError: the space has one network.
    """
    present = [decision for decision in space.decisions if decision.path in architecture.choices]
    if not present:
        raise ValueError(f"`{space.name}` has one network, which cannot be changed")
    certain = stream.choice(present).path
    changed = {d.path for d in present if stream.random() < rate or d.path == certain}

    def choose(decision: Decision) -> Literal:
        kept = architecture.choices.get(decision.path)
        others = [option for option in decision.options if option != kept]
        return stream.choice(others) if kept is None or decision.path in changed else kept

    return Architecture(space.name, reach(space.graph, choose))


def crossover(
    space: SpaceGraph, one: Architecture, other: Architecture, stream: random.Random
) -> Architecture:
    """Each decision as one of two parents has it, drawn evenly where both have it; drawn where neither has."""

    def choose(decision: Decision) -> Literal:
        known = [parent.choices[decision.path] for parent in (one, other) if decision.path in parent.choices]
        return stream.choice(known or decision.options)

    return Architecture(space.name, reach(space.graph, choose))
