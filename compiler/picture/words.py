"""Operators, types and values in words, as a picture writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from compiler.cost import node_macs, node_params
from compiler.ir.enumeration import assignments
from compiler.ir.expression import Value, ValueProblem, choices_of, evaluate, is_symbolic, show
from compiler.ir.graph import INPUT, Candidate, Graph, Node
from compiler.ir.ops import OPERATORS
from compiler.ir.types import TensorType
from dsl.source import Span

TIMES = "\N{MULTIPLICATION SIGN}"
_SHORT = {"stride": "s", "dilation": "d", "groups": "g"}
_UNSAID = ("padding", "padding_width", "output_padding", "bias", "eps", "momentum", "rate", "initial")
"""Attributes that a label leaves to the tooltip."""
VALUES_SHOWN, VALUES_TRIED = 4, 256
OPERATORS_SHOWN = 16
"""The most operators of a candidate that a tooltip lists."""


def text_of(value: Value) -> str:
    """A literal as the file writes it; of an expression over decisions the values it can have: `3|5|7`."""
    if not is_symbolic(value):
        return show(value)
    try:
        found = {evaluate(value, each) for each in assignments(choices_of(value), VALUES_TRIED)}
    except (ValueProblem, TypeError):
        return show(value)
    values = sorted(found, key=lambda each: (str(type(each)), each))
    if len(values) > VALUES_SHOWN:
        return f"{show(values[0])}..{show(values[-1])}"
    return "|".join(show(each) for each in values)


def type_text(type_: TensorType) -> str:
    """The dimensions of a tensor: `24 × 56 × 56`."""
    return f" {TIMES} ".join(text_of(size) for size in type_.dimensions)


def operator_text(node: Node) -> str:
    """An operator with what tells it from others: `conv 3×3 s2, 32`."""
    words, rest, given = [node.op.replace("_", " ")], [], node.settings
    defaults = {a.name: a.default for a in OPERATORS[node.op].attributes} if node.op in OPERATORS else {}
    for name, value in node.attributes:
        other = given.get(f"{name}_width", value)
        if name == "kernel" and not is_symbolic(value):
            words.append(f"{text_of(value)}{TIMES}{text_of(other)}")
        elif name == "out":
            rest.append(text_of(value))
        elif value != defaults.get(name) and name not in _UNSAID and not name.endswith("_width"):
            said = text_of(value) if other == value else f"{text_of(value)}{TIMES}{text_of(other)}"
            words.append(_SHORT[name] + said if name in _SHORT else f"{name} {said}")
    return ", ".join([" ".join(words), *rest])


def node_title(node: Node, operands: Sequence[TensorType]) -> str:
    """Everything known of an operator, a line each: name, attributes, types, cost, the line of the file."""
    settings = ", ".join(f"{name} = {text_of(value)}" for name, value in node.attributes)
    entering = ", ".join(type_text(each) for each in operands)
    lines = [f"{node.name}: {node.op}({settings})", f"{entering} → {type_text(node.type)}"]
    return "\n".join([*lines, *_cost_lines([(node, operands)]), *where(node.span)])


def candidate_title(head: str, candidate: Candidate, span: Span | None) -> str:
    """A candidate's choices, its operators, their cost and where it was written."""
    graph = candidate.graph
    inner = [node for node in graph.nodes if node.op != INPUT]
    choices = [f"{path} = {text_of(choice)}" for path, choice in candidate.choices]
    steps = " → ".join(operator_text(node) for node in inner[:OPERATORS_SHOWN]) or "passes its input on"
    more = f" and {len(inner) - OPERATORS_SHOWN:,} more" if len(inner) > OPERATORS_SHOWN else ""
    operands = [(node, [graph[operand].type for operand in node.inputs]) for node in inner]
    own = next((node.span for node in inner if node.span is not None), span)
    return "\n".join([head, *choices, steps + more, *_cost_lines(operands), *where(own)])


def _cost_lines(nodes: Iterable[tuple[Node, Sequence[TensorType]]]) -> list[str]:
    """MACs and parameters of operators; nothing where they depend on a decision."""
    macs = params = 0
    for node, operands in nodes:
        types = [node.type, *operands]
        if node.candidates or any(is_symbolic(value) for _, value in node.attributes):
            return []
        if not operands or not all(each.is_concrete for each in types):
            return []
        macs += node_macs(node, [each.sizes for each in operands])
        params += node_params(node, operands[0].sizes)
    return [f"{macs:,} MACs, {params:,} parameters"] if macs or params else []


def where(span: Span | None) -> list[str]:
    """The line of the user's file, without its folder, so that a picture is the same anywhere."""
    return [] if span is None else [f"line {span.line} of {PurePath(span.source.name).name}"]


def family(graph: Graph) -> str:
    """What a candidate computes, for its colour: by its largest window, as in the field's pictures."""
    operators = [node for node in graph.nodes if node.op != INPUT]
    names = {node.op for node in operators}
    if "zero" in names and names <= {"zero", "identity", "add"}:
        return "zero"
    if names <= {"identity", "add"}:
        return "skip"
    if any(node.candidates for node in operators):
        return "nested"
    if _pools(names):
        return "pool"
    windows = [value for node in operators for name, value in node.attributes if name == "kernel"]
    largest = max([each for each in windows if isinstance(each, int)], default=0)
    return "w1" if largest <= 1 else "w3" if largest <= 3 else "w5" if largest <= 5 else "w7"


def _pools(names: set[str]) -> bool:
    return bool(names & {"max_pool", "avg_pool"}) and not names & {"conv", "depthwise", "linear"}


def plain_labels(groups: Sequence[Sequence[str]]) -> dict[str, str]:
    """Candidates' labels by what they have in common: `mbconv kernel=5 expand=6` is `kernel 5, expand 6`.

    `groups` holds the labels of each mixed op. The words of paths are left out where the values alone tell
    the candidates of every mixed op apart.
    """
    labels = list(dict.fromkeys(label for group in groups for label in group))
    plain = {text: _values(text) for text in labels}
    for group in groups:
        if len({plain[text] for text in group}) != len(group):
            return {text: _values(text, keep_words=True) for text in labels}
    return plain


def _values(text: str, keep_words: bool = False) -> str:
    words = text.split(" ")
    values = [word.replace("=", " ") for word in words if "=" in word]
    others = [word for word in words if "=" not in word]
    if keep_words or not values:
        values = [*others, *values]
    return ", ".join(values)
