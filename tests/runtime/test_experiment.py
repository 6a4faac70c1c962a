"""An experiment joins a file's parts; overrides replace settings and nothing else."""

from __future__ import annotations

import pytest

from dsl.diagnostic import DiagnosticError
from dsl.source import Source
from runtime.experiment import Experiment, NoSuchPart, load_experiment

TEXT = """
space s { input [1, 8, 8]  output [10]  conv(choose(4, 8), 3) -> global_pool -> linear(10) }
target fast { threads = 1 }
search s { data = digits  epochs = 3  latency <= 2 ms on host  seed = 5 }
train s { epochs = 7 }
"""


def load(*overrides: str, text: str = TEXT, **chosen: str) -> Experiment:
    return load_experiment(Source("s.space", text), overrides=overrides, **chosen)


def test_parts_are_joined() -> None:
    found = load()
    assert found.search is not None
    assert found.train is not None
    assert (found.space.name, found.target.name) == ("s", "host")
    assert (found.search.epochs, found.train.epochs, found.train.seed) == (3, 7, 5)
    assert found.train.data == found.search.data


def test_overrides_reach_every_section_that_takes_them() -> None:
    found = load("epochs=2", "train.batch = 16", "latency <= 3 ms on host", "target.threads=2")
    assert found.search is not None
    assert found.train is not None
    assert (found.search.epochs, found.train.epochs) == (2, 2)
    assert (found.search.batch, found.train.batch) == (256, 16)
    assert [cap.limit for cap in found.search.caps] == [3.0]
    assert found.settings.targets["fast"].threads == 2


@pytest.mark.parametrize(
    "text", ["nonsense", "epochs=", "epochs = many", "epohcs = 2", "train.epochs = 1.5", "=", ""]
)
def test_a_wrong_override_is_refused(text: str) -> None:
    with pytest.raises((DiagnosticError, NoSuchPart)):
        load(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("macs <= 3 ms", "E0144"),
        ("peak_memory <= 4 K", "E0144"),
        ("latency <= 8 K on host", "E0144"),
        ("latency <= 8 on host", "E0144"),
        ("latency <= 8 ms", "E0143"),
        ("macs <= 9 M on host", "E0143"),
        ("latency <= 8 ms on hist", "E0101"),
        ("speed <= 8", "E0142"),
    ],
)
def test_a_wrong_cap_is_refused_as_in_a_file(text: str, code: str) -> None:
    with pytest.raises(DiagnosticError) as refused:
        load(text)
    assert {each.code for each in refused.value.diagnostics} == {code}
    with pytest.raises(DiagnosticError) as in_file:
        load(text=TEXT.replace("latency <= 2 ms on host", text))
    assert code in {each.code for each in in_file.value.diagnostics}


def test_a_cap_takes_the_place_of_its_like_alone() -> None:
    text = TEXT.replace("epochs = 3", "macs >= 1 K  macs <= 9 K  params <= 1 K")
    found = load("macs <= 8 K", text=text).search
    assert found is not None
    kept = {(cap.metric, cap.relation, cap.limit) for cap in found.caps}
    assert kept == {
        ("macs", ">=", 1e3),
        ("macs", "<=", 8e3),
        ("params", "<=", 1e3),
        ("latency", "<=", 2.0),
    }


@pytest.mark.parametrize("chosen", [{"target": "slow"}, {"search": "other"}])
def test_an_unknown_part_is_named(chosen: dict[str, str]) -> None:
    with pytest.raises(NoSuchPart, match=r"slow|other"):
        load(**chosen)


def test_one_of_several_searches_must_be_chosen() -> None:
    text = TEXT + "search s as second { data = digits }\n"
    with pytest.raises(NoSuchPart, match="--search"):
        load(text=text)
    assert load(text=text, search="second").search is not None


def test_a_target_may_be_overridden_for_the_whole_run() -> None:
    assert load(target="fast").target.name == "fast"
