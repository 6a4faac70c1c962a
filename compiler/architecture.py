"""An architecture: one choice for each decision that is reached, as a value, as a file and against a space."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction

from compiler.counting import Counter, taken
from compiler.ir.expression import Literal, choices_of, normal, show
from compiler.ir.graph import Decision, Graph, SpaceGraph, decisions_of

SCHEMA = "onepath.architecture/1"
PROBLEMS_SHOWN, OPTIONS_SHOWN, TEXT_SHOWN = 20, 20, 100
"""How much of what is wrong with a file, and how many characters of each text in it, a message holds."""


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
    _refuse([_not_a_choice(path, it) for path, it in choices.items() if not isinstance(it, int | str)])
    return Architecture(space, choices)


def _not_a_choice(path: str, found: object) -> str:
    kinds = {list: "a list", dict: "an object", type(None): "null"}
    what = kinds.get(type(found)) or str(found)
    wanted = 'an integer, a label, a fraction as text (`"7/2"`), true or false'
    return f"`{shown(path)}`: {what} is no choice; a choice is {wanted}"


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        more = [f"and {len(problems) - PROBLEMS_SHOWN:,} more"] if len(problems) > PROBLEMS_SHOWN else []
        raise InvalidArchitecture("\n".join([*problems[:PROBLEMS_SHOWN], *more]))


def shown(text: str) -> str:
    """A text of a hostile file as a message may hold it: short, and without what steers a terminal."""
    visible = text if text.isprintable() else json.dumps(text)[1:-1].replace("\x7f", "\\u007f")
    return visible if len(visible) <= TEXT_SHOWN else visible[:TEXT_SHOWN] + "…"


def validate(space: SpaceGraph, architecture: Architecture) -> Architecture:
    """The architecture with its choices in the order of the file, if it is one of the space.

    Raises:
        InvalidArchitecture: a choice is missing, is no option, or belongs to a decision that is not
            reached; all mistakes are named at once.
    """
    if architecture.space != space.name:
        raise InvalidArchitecture(
            f"an architecture of space `{shown(architecture.space)}`, not of `{space.name}`"
        )
    reached: dict[str, Literal] = {}
    problems = list(_resolve(space.graph, architecture.choices, reached))
    known = {decision.path for decision in decisions_of(space.graph)}
    for path in architecture.choices:
        if path not in known:
            # Looking for the nearest name is slow: it is done for what will be shown.
            near = _suggestion(path, known) if len(problems) < PROBLEMS_SHOWN else ""
            problems.append(f"`{shown(path)}`: no such decision{near}")
        elif path not in reached and not problems:
            problems.append(f"`{path}`: this decision is not reached under the other choices; leave it out")
    _refuse(problems)
    return Architecture(space.name, reached)


def _suggestion(path: str, known: set[str]) -> str:
    near = get_close_matches(path[:TEXT_SHOWN], known, n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def _resolve(graph: Graph, given: Mapping[str, Literal], reached: dict[str, Literal]) -> Iterator[str]:
    """Walk what is reached, filling `reached`; yields each mistake."""
    for decision in graph.decisions:
        if decision.path not in given:
            yield f"`{decision.path}`: no choice; options are {_options(decision)}"
            continue
        choice = _read(given[decision.path], decision)
        if choice is None:
            wrong = _as_given(given[decision.path])
            yield f"`{decision.path}`: {wrong} is no option; options are {_options(decision)}"
            continue
        reached[decision.path] = choice
    for node in graph.nodes:
        if node.candidates and all(path in reached for path in choices_of(node.selector)):
            yield from _resolve(taken(node, reached), given, reached)


def _options(decision: Decision) -> str:
    some = [_as_given(option) for option in decision.options[:OPTIONS_SHOWN]]
    rest = len(decision.options) - len(some)
    return ", ".join(some) + (f" and {rest:,} more" if rest else "")


def _as_given(choice: Literal) -> str:
    """A choice as an architecture file writes it."""
    return f'"{shown(str(_written(choice)))}"' if isinstance(choice, str | Fraction) else show(choice)


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
