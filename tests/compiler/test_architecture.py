"""Architectures go to a file and back, and are checked against the space with every mistake named."""

from __future__ import annotations

import json

import pytest

from compiler.architecture import (
    Architecture,
    InvalidArchitecture,
    completed,
    from_json,
    only,
    sample,
    to_json,
    validate,
)
from compiler.ir.verify import verify_space
from compiler.passes.flatten import flatten, mixed_nodes
from tests.compiler_spaces import shipped, space

BODY = (
    "choose { big: conv(choose(4, 7 / 2 * 2), 1) -> conv(3, choose(1, 3)) | skip: identity } -> global_pool"
)


def test_samples_survive_the_file() -> None:
    graph = shipped("quickstart")
    drawn = list(sample(graph, 5, seed=3))
    assert drawn == list(sample(graph, 5, seed=3)) != list(sample(graph, 5, seed=4))
    for architecture in drawn:
        assert validate(graph, from_json(json.loads(json.dumps(to_json(architecture))))) == architecture


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, '`path`: no choice; options are "big", "skip"'),
        ({"path": "huge"}, '`path`: "huge" is no option'),
        ({"path": "big", "big.out": "4", "big.kernel": 1}, '`big.out`: "4" is no option; options are 4, 7'),
        ({"path": "skip", "big.out": 4}, "`big.out`: this decision is not reached"),
        ({"path": "big", "big.out": 5, "big.kernel": 1}, "`big.out`: 5 is no option; options are 4, 7"),
        ({"path": "skip", "paht": "skip"}, "`paht`: no such decision; did you mean `path`?"),
        ({"path": "big", "big.out": 4, "big.kernel": True}, "true is no option"),
    ],
)
def test_mistakes_are_named(choices: dict[str, int | str | bool], message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message.replace("?", r"\?")):
        validate(space(BODY), Architecture("it", choices))


@pytest.mark.parametrize(
    "document", [None, [], {}, {"schema": "onepath.architecture/1", "space": 3, "choices": {}}]
)
def test_other_documents_are_refused(document: object) -> None:
    with pytest.raises(InvalidArchitecture):
        from_json(document)


def test_a_space_without_decisions_needs_no_file() -> None:
    assert only(shipped("mobilenet_v2")).choices == {}
    with pytest.raises(InvalidArchitecture, match="22 decisions open"):
        only(shipped("quickstart"))


def test_decisions_without_effect_are_completed() -> None:
    graph = space(
        "free = choose(1, 2)\nk = choose(1, 3)\nidle = if k == 3 then choose(4, 5) else 6\n"
        "conv(if free + idle > 0 then 4 else 8, k) -> global_pool"
    )
    flat = verify_space(flatten(graph))
    (mixed,) = mixed_nodes(flat)
    assert [dict(each.choices) for each in mixed.candidates] == [{"k": 1}, {"k": 3}]
    found = [completed(graph, dict(each.choices)) for each in mixed.candidates]
    assert [validate(graph, each).choices for each in found] == [
        {"free": 1, "k": 1},
        {"free": 1, "k": 3, "idle": 4},
    ]
