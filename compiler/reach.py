"""Which decisions exist under which choices: one walk, for whoever makes them."""

from __future__ import annotations

from collections.abc import Callable

from compiler.counting import Choices
from compiler.ir.expression import Literal, evaluate
from compiler.ir.graph import Decision, Graph, Node, taken

Choose = Callable[[Decision], Literal | None]
"""Makes a decision that exists; None leaves it open, and with it whatever depends on it."""


def reach(graph: Graph, choose: Choose) -> Choices:
    """The choices of all decisions that exist once they are made by `choose`, in the order of the file.

    `choose` is asked once for each, as soon as the decisions made before say that it exists.
    """
    walk = _Walk(choose)
    waiting: list[Graph | Decision | Node] = [graph]
    while waiting:
        before = len(walk.choices)
        waiting = [later for each in waiting for later in walk.visit(each)]
        if len(walk.choices) == before:
            break
    return walk.choices


class _Walk:
    """Visits what is reached; `choices` fills up on the way."""

    def __init__(self, choose: Choose) -> None:
        self.choose = choose
        self.choices: Choices = {}
        self.asked: set[str] = set()

    def visit(self, each: Graph | Decision | Node) -> list[Graph | Decision | Node]:
        """Make the decisions in it; what waits for a decision that is not made yet is given back."""
        if isinstance(each, Graph):
            parts: list[Decision | Node] = [
                *each.decisions,
                *[node for node in each.nodes if node.candidates],
            ]
            return [later for part in parts for later in self.visit(part)]
        try:
            if isinstance(each, Decision):
                self._decide(each)
                return []
            graphs = taken(each, self.choices)
        except KeyError:
            return [each]
        return [later for graph in graphs for later in self.visit(graph)]

    def _decide(self, decision: Decision) -> None:
        if evaluate(decision.condition, self.choices) is not True or decision.path in self.asked:
            return
        self.asked.add(decision.path)
        choice = self.choose(decision)
        if choice is not None:
            self.choices[decision.path] = choice
