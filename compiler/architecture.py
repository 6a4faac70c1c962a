"""An architecture: one choice for each decision that is reached, as a value, as a file and against a space."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction

from compiler.counting import Counter, taken
from compiler.ir.expression import Literal, choices_of, normal, show
from compiler.ir.graph import Decision, Graph, SpaceGraph, decisions_of

SCHEMA = "onepath.architecture/1"


class InvalidArchitecture(ValueError):
    """Choices that do not fit the space; the message names each decision that is wrong."""


@dataclass(frozen=True)
class Architecture:
    """The choices of one network of a space. A value decision holds its value, a path decision its label."""

    space: str
    choices: Mapping[str, Literal]


def to_json(architecture: Architecture) -> dict[str, object]:
    """The architecture as a JSON object; a fraction is written `"7/2"`."""
    choices = {path: _written(choice) for path, choice in architecture.choices.items()}
    return {"schema": SCHEMA, "space": architecture.space, "choices": choices}


def _written(choice: Literal) -> object:
    return show(choice) if isinstance(choice, Fraction) else choice


def from_json(document: object) -> Architecture:
    """The architecture that a JSON object holds.

    Raises:
        InvalidArchitecture: it is not one of this schema.
    """
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InvalidArchitecture(f"not an architecture file: its `schema` must be {SCHEMA!r}")
    space, choices = document.get("space"), document.get("choices")
    if not isinstance(space, str) or not isinstance(choices, dict):
        raise InvalidArchitecture("an architecture file has a `space` (a name) and `choices` (an object)")
    for path, choice in choices.items():
        if not isinstance(choice, int | str | bool):
            raise InvalidArchitecture(f"`{path}`: a choice is a number, a label, true or false")
    return Architecture(space, choices)


def validate(space: SpaceGraph, architecture: Architecture) -> Architecture:
    """The architecture with its choices in the order of the file, if it is one of the space.

    Raises:
        InvalidArchitecture: a choice is missing, is no option, or belongs to a decision that is not
            reached; all mistakes are named at once.
    """
    if architecture.space != space.name:
        raise InvalidArchitecture(f"an architecture of space `{architecture.space}`, not of `{space.name}`")
    reached: dict[str, Literal] = {}
    problems = list(_resolve(space.graph, architecture.choices, reached))
    known = {decision.path for decision in decisions_of(space.graph)}
    for path in architecture.choices:
        if path not in known:
            problems.append(f"`{path}`: no such decision{_suggestion(path, known)}")
        elif path not in reached and not problems:
            problems.append(f"`{path}`: this decision is not reached under the other choices; leave it out")
    if problems:
        raise InvalidArchitecture("\n".join(problems))
    return Architecture(space.name, reached)


def _suggestion(path: str, known: set[str]) -> str:
    near = get_close_matches(path, known, n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def _resolve(graph: Graph, given: Mapping[str, Literal], reached: dict[str, Literal]) -> Iterator[str]:
    """Walk what is reached, filling `reached`; yields each mistake."""
    for decision in graph.decisions:
        if decision.path not in given:
            yield f"`{decision.path}`: no choice; options are {_options(decision)}"
            continue
        choice = _read(given[decision.path], decision)
        if choice is None:
            wrong = show(given[decision.path])
            yield f"`{decision.path}`: {wrong} is no option; options are {_options(decision)}"
            continue
        reached[decision.path] = choice
    for node in graph.nodes:
        if node.candidates and all(path in reached for path in choices_of(node.selector)):
            yield from _resolve(taken(node, reached), given, reached)


def _options(decision: Decision) -> str:
    return ", ".join(show(option) for option in decision.options)


def _read(choice: Literal, decision: Decision) -> Literal | None:
    """The option that a choice of a file means; a fraction is written as text there."""
    for option in decision.options:
        if type(choice) is type(option) and choice == option:
            return option
        if isinstance(option, Fraction) and isinstance(choice, str) and choice == show(option):
            return normal(option)
    return None


def sample(space: SpaceGraph, number: int, seed: int) -> Iterator[Architecture]:
    """`number` architectures drawn uniformly over the networks of the space, with replacement."""
    counter, stream = Counter(space), random.Random(seed)
    for _ in range(number):
        yield Architecture(space.name, counter.sample(stream))


def only(space: SpaceGraph) -> Architecture:
    """The architecture of a space without a decision.

    Raises:
        InvalidArchitecture: there is something to choose.
    """
    open_ = [decision.path for decision in decisions_of(space.graph)]
    if open_:
        message = (
            f"space `{space.name}` leaves {len(open_)} decisions open (`{open_[0]}`, …): name an architecture"
        )
        raise InvalidArchitecture(message)
    return Architecture(space.name, {})
