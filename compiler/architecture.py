"""An architecture: one choice for each decision that is reached, as a value, as a file and against a space."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from itertools import islice
from typing import Literal as OneOf

from compiler.counting import Counter
from compiler.ir.expression import Literal, Scalar, show
from compiler.ir.graph import Decision, SpaceGraph
from compiler.reach import reach

SCHEMA = "onepath.architecture/1"
PROBLEMS_SHOWN, OPTIONS_SHOWN, TEXT_SHOWN = 20, 20, 100
"""How much of what is wrong with a file, and how many characters of each text in it, a message holds."""


By = OneOf["networks", "decisions"]
"""What is drawn evenly: whole networks, or the options of each decision that exists."""


class InvalidArchitecture(ValueError):
    """Choices that do not fit the space; the message names each decision that is wrong."""


@dataclass(frozen=True)
class Architecture:
    """The choices of one network of a space.

    A value decision holds its value, a path decision its label, a decision on a set a tuple of them.
    """

    space: str
    choices: Mapping[str, Literal]


def to_json(architecture: Architecture) -> dict[str, object]:
    """The architecture as a JSON object; a fraction is written `"7/2"`, a set as a list."""
    choices = {path: _written(choice) for path, choice in architecture.choices.items()}
    return {"schema": SCHEMA, "space": architecture.space, "choices": choices}


def _written(choice: Literal) -> object:
    if isinstance(choice, tuple):
        return [_written(member) for member in choice]
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
    _refuse([_not_a_choice(path, it) for path, it in choices.items() if not _is_choice(it)])
    return Architecture(
        space, {path: tuple(it) if isinstance(it, list) else it for path, it in choices.items()}
    )


def _is_choice(found: object) -> bool:
    members = found if isinstance(found, list) else [found]
    return all(isinstance(member, int | str) for member in members)


def _not_a_choice(path: str, found: object) -> str:
    kinds = {list: "such a list", dict: "an object", type(None): "null"}
    what = kinds.get(type(found)) or str(found)
    wanted = 'an integer, a label, a fraction as text (`"7/2"`), true or false, or a list of such for a set'
    return f"`{shown(path)}`: {what} is no choice; a choice is {wanted}"


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        more = [f"and {len(problems) - PROBLEMS_SHOWN:,} more"] if len(problems) > PROBLEMS_SHOWN else []
        raise InvalidArchitecture("\n".join([*problems[:PROBLEMS_SHOWN], *more]))


def shown(text: str) -> str:
    """A text of a hostile file as a message may hold it: short, and without what steers a terminal."""
    plain = text.isprintable() and "\N{REPLACEMENT CHARACTER}" not in text
    visible = text if plain else json.dumps(text)[1:-1].replace("\x7f", "\\u007f")
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
    problems: list[str] = []
    reached = reach(space.graph, lambda decision: _given(decision, architecture.choices, problems))
    known = {decision.path for decision in space.decisions}
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


def _given(decision: Decision, given: Mapping[str, Literal], problems: list[str]) -> Literal | None:
    """The option that a file's choice means; None where there is none, which is added to `problems`."""
    if decision.path not in given:
        problems.append(f"`{decision.path}`: no choice; options are {_options(decision)}")
        return None
    choice = _read(given[decision.path], decision)
    if choice is None:
        wrong = _as_given(given[decision.path])
        problems.append(f"`{decision.path}`: {wrong} is no option; options are {_options(decision)}")
    return choice


def _options(decision: Decision) -> str:
    some = [_as_given(option) for option in decision.options[:OPTIONS_SHOWN]]
    rest = len(decision.options) - len(some)
    return ", ".join(some) + (f" and {rest:,} more" if rest else "")


def _as_given(choice: Literal) -> str:
    """A choice as an architecture file writes it."""
    if isinstance(choice, tuple):
        return f"[{', '.join(_as_given(member) for member in choice[:OPTIONS_SHOWN])}]"
    return f'"{shown(str(_written(choice)))}"' if isinstance(choice, str | Fraction) else show(choice)


def _read(choice: Literal, decision: Decision) -> Literal | None:
    """The option that a choice of a file means: a fraction is written as text there, a set in any order."""
    return next((option for option in decision.options if _means(choice, option)), None)


def _means(choice: Literal, option: Literal) -> bool:
    if isinstance(choice, tuple) or isinstance(option, tuple):
        return (
            isinstance(choice, tuple)
            and isinstance(option, tuple)
            and len(choice) == len(option)
            and all(any(_means_scalar(one, other) for one in choice) for other in option)
        )
    return _means_scalar(choice, option)


def _means_scalar(choice: Scalar, option: Scalar) -> bool:
    if isinstance(option, Fraction) and isinstance(choice, str):
        return choice == show(option)
    return type(choice) is type(option) and choice == option


def choice_from_text(space: SpaceGraph, text: str) -> tuple[str, Literal]:
    """A decision's path and one of its options out of `path=option`; the members of a set stand in braces, `{a, b}`.

    Raises:
        InvalidArchitecture: there is no such decision, or no such option.
    """
    path, _, option = text.partition("=")
    decision = next((each for each in space.decisions if each.path == path.strip()), None)
    if decision is None:
        near = _suggestion(path.strip(), {each.path for each in space.decisions})
        raise InvalidArchitecture(f"`{shown(path.strip())}`: no such decision{near}")
    found = next((each for each in decision.options if show(each) == option.strip()), None)
    if found is None:
        raise InvalidArchitecture(f"`{path}`: {shown(option)} is no option; options are {_options(decision)}")
    return decision.path, found


def draws(space: SpaceGraph, seed: int, by: By = "networks") -> Iterator[Architecture]:
    """Architectures without end, drawn evenly and with replacement, over networks or over the options of each decision.

    By decisions, networks with few decisions come more often: each is what a search draws before it has learnt.
    """
    stream = random.Random(seed)
    counter = Counter(space)
    while True:
        if by == "networks":
            yield in_order(space, counter.sample(stream))
        else:
            choices = reach(space.graph, lambda decision: stream.choice(decision.options))
            yield Architecture(space.name, choices)


def every(counter: Counter) -> Iterator[Architecture]:
    """Each architecture that `counter` counts, in a stable order: the first decision varies slowest."""
    return (in_order(counter.space, choices) for choices in counter.iterate())


def in_order(space: SpaceGraph, choices: Mapping[str, Literal]) -> Architecture:
    """The architecture of choices made in any order, with them in the order of the file."""
    return Architecture(space.name, reach(space.graph, lambda decision: choices[decision.path]))


def sample(space: SpaceGraph, number: int, seed: int, by: By = "networks") -> Iterator[Architecture]:
    """The first `number` of `draws`."""
    return islice(draws(space, seed, by), number)


def completed(space: SpaceGraph, choices: Mapping[str, Literal]) -> Architecture:
    """The architecture of what a search chose.

    Decisions without effect are in no mixed op, and so are not chosen: they take their first option.
    """
    return Architecture(
        space.name, reach(space.graph, lambda decision: choices.get(decision.path, decision.options[0]))
    )


def only(space: SpaceGraph) -> Architecture:
    """The architecture of a space without a decision.

    Raises:
        InvalidArchitecture: there is something to choose.
    """
    open_ = [decision.path for decision in space.decisions]
    if open_:
        message = (
            f"space `{space.name}` leaves {len(open_)} decisions open (`{open_[0]}`, …): name an architecture"
        )
        raise InvalidArchitecture(message)
    return Architecture(space.name, {})
