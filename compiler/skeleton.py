"""What of a graph bears on which decisions exist: its decisions, and the selects that bring in more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from compiler.ir.expression import is_symbolic
from compiler.ir.graph import SELECT, Candidate, Decision, Graph, Node
from compiler.ir.types import TensorType


@dataclass
class Skeletons:
    """Makes skeletons of the graphs of one space.

    A skeleton is a graph of selects alone, without those that bring in no decision. Selects that bring in the same
    under the same selector are one, so that the instances of a tied block are; a decision with a condition is one
    between a graph that declares it and one that does not.
    """

    _names: dict[object, str] = field(default_factory=dict)

    def of(self, graph: Graph) -> Graph:
        """The skeleton of a graph."""
        selects = [self._conditional(each) for each in graph.decisions if is_symbolic(each.condition)]
        selects += [select for node in graph.nodes if node.candidates and (select := self._select(node))]
        certain = tuple(decision for decision in graph.decisions if decision.condition is True)
        return Graph(tuple({each.name: each for each in selects}.values()), "", certain)

    def _select(self, node: Node) -> Node | None:
        candidates = tuple(Candidate(each.key, self.of(each.graph)) for each in node.candidates)
        if not any(each.graph.decisions or each.graph.nodes for each in candidates):
            return None
        return self._named(replace(node, name="", op=SELECT, inputs=(), type=_NOTHING, candidates=candidates))

    def _conditional(self, decision: Decision) -> Node:
        declares = Graph((), "", (replace(decision, condition=True),))
        candidates = (Candidate(True, declares), Candidate(False, Graph((), "")))
        return self._named(Node("", SELECT, (), _NOTHING, selector=decision.condition, candidates=candidates))

    def _named(self, node: Node) -> Node:
        """The node under the name of all that bring in the same."""
        brought = [
            (each.key, each.graph.decisions, tuple(inner.name for inner in each.graph.nodes))
            for each in node.candidates
        ]
        name = self._names.setdefault((node.selector, tuple(brought)), f"#{len(self._names)}")
        return replace(node, name=name)


_NOTHING = TensorType(())
