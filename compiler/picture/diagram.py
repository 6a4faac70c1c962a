"""From a graph to what stands in its picture: units as boxes, operands as wires, all of it bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from compiler.ir.graph import INPUT, MIXED, Graph, Node, SpaceGraph
from compiler.ir.ops import MERGES
from compiler.picture.decisions import Making, decision_box, inner_decision, operators_rows, reads
from compiler.picture.folding import Fold, folded
from compiler.picture.frames import LABEL_PX
from compiler.picture.marks import Marks
from compiler.picture.text import ending
from compiler.picture.units import Unit, operands_of, read_by, units_of
from compiler.picture.values import Box, Diagram, Kind, Line, Pane, Wire
from compiler.picture.words import node_title, operator_text, plain_labels, type_text
from dsl.suggest import counted

PANE_BOXES_CAP = 40
NAME_WIDTH = 260.0
_BEHIND, _TITLES = 5, 20


def diagram_of(space: SpaceGraph, marks: Marks, levels: int, cap: int) -> tuple[Diagram, tuple[str, ...]]:
    """What stands in the picture of a space, flattened or not, and notes on what was left out.

    Candidates that hold decisions are opened `levels` deep; the picture has about `cap` boxes.
    """
    making = Making(marks, _labels(space.graph))
    diagram = _Maker(making, levels, cap).diagram(space.graph)
    return diagram, tuple(making.notes)


def _labels(graph: Graph) -> Mapping[str, str]:
    groups = [[str(each.key) for each in node.candidates] for node in graph.nodes if node.op == MIXED]
    return plain_labels(groups)


@dataclass
class _Maker:
    """Makes the diagrams of one picture; `levels` is how deep candidates are opened, `cap` the most boxes."""

    making: Making
    levels: int
    cap: int
    depth: int = field(default=0)

    def diagram(self, graph: Graph) -> Diagram:
        """The diagram of a graph; of one inside a candidate if `depth` is more than 0."""
        items = folded(_drawn_units(graph, self.depth), self.cap)
        boxes = [self._box(graph, item) for item in items]
        wires = _wires(graph, items, self.making.marks)
        last = Box("terminal", lines=(Line("output", type_text(graph.type)),))
        return Diagram((*boxes, last), wires)

    def _box(self, graph: Graph, item: Unit | Fold) -> Box:
        if isinstance(item, Fold):
            return self._fold_box(graph, item)
        first = item.nodes[0]
        if first.op == INPUT:
            return Box("terminal", (), (Line(_entering(first, self.depth), type_text(first.type)),))
        if first.candidates:
            output = _output(graph, item.nodes)
            return decision_box(self.making, first, lambda: self._panes(first), output)
        lines = tuple(_line(graph, nodes) for nodes in item.lines)
        kind: Kind = "merge" if first.op in MERGES else "operators"
        rows = operators_rows(self.making, item.nodes)
        return Box(kind, item.place, lines, rows, output=_output(graph, item.nodes))

    def _fold_box(self, graph: Graph, fold: Fold) -> Box:
        operators, decisions = len(fold.within), len(fold.decisions)
        held = counted(operators, "operator") + (f", {counted(decisions, 'decision')}" if decisions else "")
        if fold.times:
            lines = Line(f"{fold.times:,} more times"), Line(_the_last(fold.again))
            self.making.say("What repeats is drawn once.")
        else:
            lines = Line(ending(fold.name, LABEL_PX, NAME_WIDTH)), Line(held)
            self.making.say(
                "The picture was too long or too wide: its middle is folded, a box for each place."
            )
        return Box(
            "folded", fold.place[:-1], lines, output=_output(graph, fold.nodes), title=f"{fold.name}: {held}"
        )

    def _panes(self, node: Node) -> tuple[Pane, ...]:
        """The candidates that hold decisions themselves, where they are not too deep; the chosen ones alone
        where an architecture is marked."""
        nested = [each for each in node.candidates if node.op != MIXED and _decides(each.graph)
                  and inner_decision(each) is None and self.making.candidate(node, each)[1] != "pale"]  # fmt: skip
        if not nested:
            return ()
        if self.depth >= self.levels:
            self.making.say("Decisions inside candidates are folded where they are too many, or too deep.")
            return ()
        inner = _Maker(self.making, self.levels, min(self.cap, PANE_BOXES_CAP), self.depth + 1)
        labels = [self.making.candidate(node, each)[0] for each in nested]
        return tuple(
            Pane(label, f"{node.name}: {label}", inner.diagram(each.graph))
            for label, each in zip(labels, nested, strict=True)
        )


def _the_last(boxes: int) -> str:
    return "the box above" if boxes == 1 else f"the {boxes} boxes above"


def _decides(graph: Graph) -> bool:
    return bool(graph.decisions) or any(node.candidates for node in graph.nodes)


def _drawn_units(graph: Graph, depth: int) -> list[Unit]:
    """The boxes of a graph; inside a candidate, without the inputs that nothing in it reads."""
    units = units_of(graph)
    if not depth:
        return units
    read = {graph.output, *[operand for node in graph.nodes for operand in read_by(node)]}
    return [unit for unit in units if unit.last.op != INPUT or unit.last.name in read]


def _entering(node: Node, depth: int) -> str:
    return "in" if depth else node.name


def _line(graph: Graph, nodes: Sequence[Node]) -> Line:
    first, *behind = nodes
    titles = [node_title(node, [graph[operand].type for operand in node.inputs]) for node in nodes]
    names = [node.op for node in behind[:_BEHIND]]
    more = [f"+{len(behind) - _BEHIND:,}"] if len(behind) > _BEHIND else []
    return Line(operator_text(first), " ".join([*names, *more]), "\n".join(titles[:_TITLES]))


def _output(graph: Graph, nodes: Sequence[Node]) -> str:
    """The type of the last node, where it is not that of what enters."""
    inside = {node.name for node in nodes}
    entering = [graph[operand].type for node in nodes for operand in node.inputs if operand not in inside]
    leaving = nodes[-1].type
    return "" if leaving in entering else type_text(leaving)


def _wires(graph: Graph, items: Sequence[Unit | Fold], marks: Marks) -> tuple[Wire, ...]:
    owner: dict[str, int] = {}
    wires: list[Wire] = []
    for index, item in enumerate(items):
        units = [item] if isinstance(item, Unit) else list(item.units)
        unread = _unread(units[0].nodes[0], marks) if isinstance(item, Unit) else set()
        sources: dict[int, bool] = {}
        for operand in operands_of(units):
            sources[owner[operand]] = sources.get(owner[operand], True) and operand in unread
        wires += [Wire(source, index, pale) for source, pale in sources.items()]
        owner |= {node.name: index for unit in units for node in unit.nodes}
    return (*wires, Wire(owner[graph.output], len(items)))


def _unread(node: Node, marks: Marks) -> set[str]:
    """The operands that the candidates chosen do not read."""
    if marks.choices is None or not node.candidates:
        return set()
    chosen = [each for each in node.candidates if reads(node, each, marks.choices)]
    return set(node.inputs) - set(read_by(node, chosen)) if chosen else set()
