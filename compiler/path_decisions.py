"""Path decisions of a flattened space, and the latency of their candidates, in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compiler.ir.expression import Literal
from compiler.ir.graph import MIXED, Graph, Node


@dataclass(frozen=True)
class LatencyCosts:
    """The latency of the fixed parts, and of each candidate of each mixed node, in the candidates' order."""

    fixed_ms: float
    candidates_ms: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class PathDecision:
    """A choice between candidates, made once for all its `members` (mixed nodes of the same choices).

    It has the name of its first member. `choices` are, per candidate, the choices it stands for.
    """

    name: str
    labels: tuple[str, ...]
    choices: tuple[tuple[tuple[str, Literal], ...], ...]
    members: tuple[str, ...]


def path_decisions(graph: Graph) -> tuple[PathDecision, ...]:
    """The path decisions of a flattened graph, in its order; mixed nodes of equal choices are one decision.

    Raises:
        ValueError: two mixed nodes share some of their decisions but not all.
    """
    groups: dict[object, list[Node]] = {}
    for node in graph.nodes:
        if node.op == MIXED:
            choices = tuple(candidate.choices for candidate in node.candidates)
            groups.setdefault(choices if any(choices) else node.name, []).append(node)
    found = tuple(_decision(members) for members in groups.values())
    _refuse_overlap(found)
    return found


def _decision(members: Sequence[Node]) -> PathDecision:
    first = members[0]
    return PathDecision(
        first.name,
        tuple(str(candidate.key) for candidate in first.candidates),
        tuple(candidate.choices for candidate in first.candidates),
        tuple(node.name for node in members),
    )


def _refuse_overlap(decisions: Sequence[PathDecision]) -> None:
    owners: dict[str, str] = {}
    for decision in decisions:
        for path in {path for choices in decision.choices for path, _ in choices}:
            owner = owners.setdefault(path, decision.name)
            if owner != decision.name:
                raise ValueError(
                    f"`{owner}` and `{decision.name}` both depend on the decision `{path}`, and not on the same "
                    "decisions otherwise: a supernet of such a space is not supported yet"
                )


def choices_of(decisions: Sequence[PathDecision], picks: Sequence[int]) -> dict[str, Literal]:
    """What the picks choose, by the space's decision paths."""
    pairs = zip(decisions, picks, strict=True)
    return {path: choice for decision, pick in pairs for path, choice in decision.choices[pick]}
