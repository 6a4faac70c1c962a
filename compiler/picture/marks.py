"""What a picture marks: the choices of one architecture, and the probabilities of a search."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from compiler.architecture import shown
from compiler.ir.expression import Assignment, Literal, show
from compiler.ir.graph import MIXED, Decision, Graph, Node, decisions_of
from compiler.picture.values import State

Shares = Mapping[str, Mapping[str, float]]
"""Probabilities by decision and candidate; decisions by the names of mixed ops or the paths of the file."""
TOLERANCE = 1e-3
"""How far the probabilities of one decision may be from a sum of 1: they are written with few digits."""
PROBLEMS_SHOWN, NAMES_SHOWN = 10, 8


class UnfitProbabilities(ValueError):
    """Probabilities that are none, or not of this space; the message says of which decision, and how."""


@dataclass(frozen=True)
class Marks:
    """`choices` is None where no architecture is marked; `shares` holds what is known of each mixed op or path."""

    choices: Assignment | None = None
    shares: Shares = field(default_factory=dict)

    def state(self, path: str, option: Literal) -> State:
        """Whether an option was chosen; one of a decision that is not reached was not."""
        if self.choices is None:
            return "open"
        return "chosen" if path in self.choices and holds(self.choices[path], option) else "pale"

    def candidate_state(self, choices: Iterable[tuple[str, Literal]]) -> State:
        """Whether the candidate of a mixed op that stands for `choices` was chosen."""
        if self.choices is None:
            return "open"
        return "chosen" if all(self.choices.get(path) == choice for path, choice in choices) else "pale"


def holds(choice: Literal, option: Literal) -> bool:
    """Whether a choice is an option, or a set that has it as a member."""
    return choice == option or (isinstance(choice, tuple) and option in choice)


def marginal(node: Node, row: Mapping[str, float], path: str, option: Literal) -> float | None:
    """The probability of an option, given that its decision is reached, from those of a mixed op's candidates."""
    having = [(dict(each.choices)[path], row[label_of(each.key)]) for each in node.candidates
              if any(path == other for other, _ in each.choices)]  # fmt: skip
    reached = sum(share for _, share in having)
    return sum(share for choice, share in having if holds(choice, option)) / reached if reached > 0 else None


def label_of(key: Literal) -> str:
    """The text that stands for a candidate or option in a file of probabilities."""
    return key if isinstance(key, str) else show(key)


def entropy_bits(shares: Iterable[float]) -> float:
    """The entropy of probabilities, in bits: 0 is decided."""
    return max(0.0, -sum(share * math.log2(share) for share in shares if share > 0))


def fit_shares(graph: Graph, given: Shares) -> Shares:
    """`given` by every name that the picture of `graph` looks for, checked.

    Mixed ops of equal choices are one decision, given by the name of one of them; a mixed op of a single
    decision may be given by that decision's path.

    Raises:
        UnfitProbabilities: a decision or candidate is not of this graph, one is missing, or the numbers are
            no probabilities; all mistakes are named at once.
    """
    known = _known(graph)
    rows = {name: known[name].labelled(row) if name in known else row for name, row in given.items()}
    problems = [said for name, row in rows.items() for said in _problems(name, row, known)]
    if problems:
        more = [f"and {len(problems) - PROBLEMS_SHOWN:,} more"] if len(problems) > PROBLEMS_SHOWN else []
        raise UnfitProbabilities("\n".join([*problems[:PROBLEMS_SHOWN], *more]))
    return {member: row for name, row in rows.items() for member in known[name].members}


@dataclass(frozen=True)
class _Known:
    """A decision that probabilities may be given of: the names that share them, and its candidates.

    `options` has the candidate's label for each option's text, where a mixed op makes a single decision.
    """

    members: tuple[str, ...]
    labels: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)

    def labelled(self, row: Mapping[str, float]) -> Mapping[str, float]:
        """A row with its candidates by their labels; one that has both a label and its option stays as it is."""
        found = {self.options.get(name, name): share for name, share in row.items()}
        return found if len(found) == len(row) else row


def _known(graph: Graph) -> dict[str, _Known]:
    groups: dict[object, list[Node]] = {}
    for node in graph.nodes:
        if node.op == MIXED:
            groups.setdefault(tuple(each.choices for each in node.candidates), []).append(node)
    known = {decision.path: _option_labels(decision) for decision in decisions_of(graph)}
    for nodes in groups.values():
        one = _mixed_op(nodes)
        paths = {path for each in nodes[0].candidates for path, _ in each.choices}
        aliases = tuple(paths) if len(paths) == 1 else ()
        known |= dict.fromkeys((*one.members, *aliases), one)
    return known


def _mixed_op(nodes: Sequence[Node]) -> _Known:
    candidates = nodes[0].candidates
    labels = tuple(label_of(each.key) for each in candidates)
    single = all(len(each.choices) == 1 for each in candidates)
    options = [label_of(each.choices[0][1]) for each in candidates] if single else []
    return _Known(tuple(node.name for node in nodes), labels, dict(zip(options, labels, strict=False)))


def _option_labels(decision: Decision) -> _Known:
    return _Known((decision.path,), tuple(label_of(option) for option in decision.options))


def _problems(name: str, row: Mapping[str, float], known: Mapping[str, _Known]) -> Iterable[str]:
    if name not in known:
        yield f"`{shown(name)}`: no such decision in this space; it has {_some(tuple(known))}"
        return
    labels = known[name].labels
    strange = [label for label in row if label not in labels]
    missing = [label for label in labels if label not in row]
    if strange:
        yield f"`{name}`: no candidate `{shown(strange[0])}`; candidates are {_some(labels)}"
    elif missing:
        yield f"`{name}`: no probability of {_some(tuple(missing))}; give one of each candidate"
    elif abs(sum(row.values()) - 1) > TOLERANCE:
        yield f"`{name}`: its probabilities have a sum of {sum(row.values()):.4g}, and must have one of 1"


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return (", ".join(f"`{name}`" for name in names[:NAMES_SHOWN]) or "none") + more
