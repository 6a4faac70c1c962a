"""The boxes of decisions: candidates as rows of cells, their states and probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from compiler.ir.expression import (
    Assignment,
    Choice,
    Literal,
    Value,
    ValueProblem,
    choices_of,
    evaluate,
    show,
)
from compiler.ir.graph import INPUT, MIXED, Candidate, Node, decisions_of
from compiler.picture.frames import LABEL_PX
from compiler.picture.marks import Marks, entropy_bits, holds, label_of, marginal
from compiler.picture.text import ending
from compiler.picture.units import place_of
from compiler.picture.values import Box, Cell, Line, Pane, Row, State
from compiler.picture.words import candidate_title, family, text_of, where
from dsl.suggest import counted

CELLS_CAP = 14
"""The most candidates of a mixed op that are drawn one by one; more are drawn by decision."""
AS_WIDTH = 150.0
"""How wide the name of a decision that stands elsewhere may be, in pixels."""
LABEL_CAP = 30
"""The longest label of a candidate of several decisions; with longer ones they are drawn by decision."""
OPTIONS_CAP, ROWS_CAP = 16, 24
"""The most options of a decision, and decisions of a mixed op, that are drawn."""
NAMED_CAP = 200
"""The most options or decisions that the tooltip of what is folded names."""


@dataclass
class Making:
    """What the boxes of one picture share: marks, short labels, and what was drawn or said already."""

    marks: Marks
    labels: Mapping[str, str]
    drawn: dict[object, str] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def say(self, note: str) -> None:
        """Add a note; each is said once."""
        self.notes.setdefault(note)

    def candidate(self, node: Node, candidate: Candidate) -> tuple[str, State]:
        """The label and the state of a select's candidate."""
        return _key_text(candidate.key), _select_state(self.marks, node, candidate)


def decision_box(making: Making, node: Node, panes: Callable[[], tuple[Pane, ...]], output: str) -> Box:
    """The box of a mixed op or select; `panes` makes those of the candidates that hold decisions themselves."""
    place, residual = place_of(node), _is_residual(node)
    made = _decision_of(node)
    before = making.drawn.setdefault(made, node.name) if made else node.name
    if before != node.name:
        before = made if isinstance(made, str) else before
        making.say("A decision that is made once for several places is drawn at the first of them.")
        line = Line(
            f"as {ending(before, LABEL_PX, AS_WIDTH)}", title=f"{node.name}: the same decision as {before}"
        )
        return Box("decision", place, (line,), output=output, residual=residual)
    if node.op == MIXED:
        return Box("decision", place, (), _mixed_rows(making, node), output=output, residual=residual)
    merge = node.settings.get("merge")
    lines = (Line(f"{merge} of those chosen"),) if isinstance(merge, str) else ()
    rows = (*_select_rows(making, node), *_inner_rows(making, node))
    return Box("decision", place, lines, rows, panes(), output)


def _decision_of(node: Node) -> object:
    """What a node decides, equal for the places of a tied decision; nothing where no decision is its own."""
    if node.op == MIXED:
        choices = tuple(each.choices for each in node.candidates)
        return choices if any(choices) else None
    return node.selector.path if isinstance(node.selector, Choice) else None


def operators_rows(making: Making, nodes: Sequence[Node]) -> tuple[Row, ...]:
    """The decisions that attributes of operators depend on, where they were not drawn yet."""
    values = [value for node in nodes for _, value in node.attributes]
    return _decision_rows(making, values)


def reads(node: Node, candidate: Candidate, choices: Assignment) -> bool:
    """Whether `choices` take a candidate."""
    if node.op == MIXED:
        return all(choices.get(path) == choice for path, choice in candidate.choices)
    taken = _taken(node.selector, choices)
    return taken is not None and holds(taken, candidate.key)


def _taken(selector: Value | None, choices: Assignment) -> Literal | None:
    """What a selector is; None where it reads a decision that is not reached."""
    try:
        return None if selector is None else evaluate(selector, choices)
    except (KeyError, ValueProblem):
        return None


def _is_residual(node: Node) -> bool:
    """Whether a candidate ends in the sum of what enters and what it computes."""
    for candidate in node.candidates:
        graph, entering = candidate.graph, {each.name for each in candidate.graph.inputs}
        last = graph[graph.output]
        while len(last.inputs) == 1 and last.op != INPUT:
            last = graph[last.inputs[0]]
        if last.op == "add" and len(last.inputs) > 1 and entering & set(last.inputs) and len(entering) == 1:
            return True
    return False


# Mixed ops


def _mixed_rows(making: Making, node: Node) -> tuple[Row, ...]:
    paths = list(dict.fromkeys(path for each in node.candidates for path, _ in each.choices))
    texts = [making.labels[str(each.key)] for each in node.candidates]
    wide = len(paths) > 1 and max(map(len, texts)) > LABEL_CAP
    if paths and (wide or len(node.candidates) > CELLS_CAP):
        return _bounded_rows(making, node, paths)
    shares = making.marks.shares.get(node.name)
    cells = tuple(
        _mixed_cell(making, node, each, text) for each, text in zip(node.candidates, texts, strict=True)
    )
    lines = [node.name, *[f"decision {path}" for path in paths], *_entropy(shares, len(cells))]
    return (Row("", "\n".join([*lines, *where(node.span)]), _bounded(making, cells)),)


def _bounded_rows(making: Making, node: Node, paths: Sequence[str]) -> tuple[Row, ...]:
    rows = tuple(_marginal_row(making, node, path) for path in paths[:ROWS_CAP])
    rest = paths[ROWS_CAP:]
    if not rest:
        return rows
    making.say("Of a mixed op of many decisions the first are drawn.")
    return (*rows, Row("", "", (Cell(f"{len(rest):,} more decisions", "\n".join(rest[:NAMED_CAP]), "more"),)))


def _mixed_cell(making: Making, node: Node, candidate: Candidate, text: str) -> Cell:
    row = making.marks.shares.get(node.name)
    share = None if row is None else row[label_of(candidate.key)]
    state = making.marks.candidate_state(candidate.choices)
    title = candidate_title(f"{node.name}: {candidate.key}", candidate, node.span)
    return Cell(text, _with_share(title, share, state), family(candidate.graph), state, share)


def _marginal_row(making: Making, node: Node, path: str) -> Row:
    """The options of one decision of a mixed op of many, with the sums of their candidates' probabilities."""
    row = making.marks.shares.get(node.name)
    options = list(
        dict.fromkeys(choice for each in node.candidates for at, choice in each.choices if at == path)
    )
    cells = []
    for option in members(options):
        share = None if row is None else marginal(node, row, path, option)
        cells.append(_option_cell(making.marks, path, option, share))
    shares = {cell.label: cell.share for cell in cells if cell.share is not None}
    title = "\n".join([f"decision {path}", *_entropy(shares, len(cells)), *where(node.span)])
    return Row(_relative(path, node.name), title, _bounded(making, cells))


def _relative(path: str, name: str) -> str:
    """A decision's path within the mixed op or place `name`."""
    return path.removeprefix(f"{name}.")


# Selects


def _select_rows(making: Making, node: Node) -> tuple[Row, ...]:
    selector = node.selector
    if isinstance(selector, Choice):
        return (_path_row(making, node, selector),)
    rows = _decision_rows(making, [selector])
    cells = [_candidate_cell(making, node, each, None) for each in node.candidates]
    label = show(selector) if selector is not None else ""
    return (*rows, Row(label, f"{node.name}: by {label}", _bounded(making, cells)))


def inner_decision(candidate: Candidate) -> Node | None:
    """The decision that a candidate is nothing but, where it holds no further ones: a row of its box."""
    inner = [node for node in candidate.graph.nodes if node.op != INPUT]
    if len(inner) != 1 or not isinstance(inner[0].selector, Choice) or "merge" in inner[0].settings:
        return None
    return None if any(decisions_of(each.graph) for each in inner[0].candidates) else inner[0]


def _inner_rows(making: Making, node: Node) -> Iterator[Row]:
    for candidate in node.candidates:
        inner = inner_decision(candidate)
        if inner is not None:
            (row,) = _select_rows(making, inner)
            making.drawn.setdefault(_decision_of(inner), inner.name)
            yield replace(row, label=_key_text(candidate.key))


def _path_row(making: Making, node: Node, choice: Choice) -> Row:
    row = making.marks.shares.get(choice.path)
    cells = []
    for each in node.candidates:
        having = [option for option in choice.options if holds(option, each.key)]
        share = None if row is None else sum(row[label_of(option)] for option in having)
        cells.append(_candidate_cell(making, node, each, share))
    title = "\n".join([f"decision {choice.path}", *_entropy(row, len(choice.options)), *where(node.span)])
    name = choice.path.rpartition(".")[2]
    return Row("" if name == "path" else name, title, _bounded(making, cells))


def _candidate_cell(making: Making, node: Node, candidate: Candidate, share: float | None) -> Cell:
    label, state = making.candidate(node, candidate)
    inner = len(decisions_of(candidate.graph))
    held = (
        [f"{counted(len(candidate.graph.nodes), 'operator')}, {counted(inner, 'decision')} inside"]
        if inner
        else []
    )
    title = "\n".join([candidate_title(f"{node.name}: {label}", candidate, node.span), *held])
    return Cell(label, _with_share(title, share, state), family(candidate.graph), state, share)


def _key_text(key: Literal) -> str:
    if isinstance(key, bool):
        return "yes" if key else "no"
    return text_of(key)


def _select_state(marks: Marks, node: Node, candidate: Candidate) -> State:
    if marks.choices is None:
        return "open"
    return "chosen" if reads(node, candidate, marks.choices) else "pale"


# Decisions by their options


def _decision_rows(making: Making, values: Iterable[object]) -> tuple[Row, ...]:
    found = choices_of(*values)
    new = [choice for path, choice in found.items() if path not in making.drawn]
    making.drawn |= {choice.path: choice.path for choice in new}
    return tuple(_value_row(making, choice) for choice in new)


def _value_row(making: Making, choice: Choice) -> Row:
    row = making.marks.shares.get(choice.path)
    cells = []
    for option in members(choice.options):
        having = [each for each in choice.options if holds(each, option)]
        share = None if row is None else sum(row[label_of(each)] for each in having)
        cells.append(_option_cell(making.marks, choice.path, option, share))
    title = "\n".join([f"decision {choice.path}", *_entropy(row, len(choice.options))])
    return Row(choice.path.rpartition(".")[2], title, _bounded(making, cells))


def members(options: Sequence[Literal]) -> list[Literal]:
    """The options of a decision; where they are sets, what they have as members."""
    if not all(isinstance(option, tuple) for option in options):
        return list(options)
    return list(dict.fromkeys(member for option in options if isinstance(option, tuple) for member in option))


def _option_cell(marks: Marks, path: str, option: Literal, share: float | None) -> Cell:
    state = marks.state(path, option)
    return Cell(
        text_of(option), _with_share(f"{path} = {text_of(option)}", share, state), "value", state, share
    )


def _with_share(title: str, share: float | None, state: State) -> str:
    said = [] if share is None else [f"probability {100 * share:.2f} %"]
    return "\n".join([title, *said, *(["chosen"] if state == "chosen" else [])])


def _entropy(row: Mapping[str, float] | None, options: int) -> list[str]:
    if not row:
        return []
    return [f"entropy {entropy_bits(row.values()):.2f} bits of {entropy_bits([1 / options] * options):.2f}"]


def _bounded(making: Making, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    if len(cells) <= OPTIONS_CAP:
        return tuple(cells)
    making.say("Of a decision of many options the first are drawn.")
    rest = cells[OPTIONS_CAP - 1 :]
    state: State = "chosen" if any(each.state == "chosen" for each in rest) else rest[0].state
    shares = [each.share for each in rest if each.share is not None]
    title = ", ".join(each.label for each in rest[:NAMED_CAP])
    more = Cell(f"{len(rest):,} more", title, "more", state, sum(shares) if shares else None)
    return (*cells[: OPTIONS_CAP - 1], more)
